#include "statistics/statistics.hpp"

#include <algorithm>

#include "cpu/dispatch.hpp"
#include "statistics/kernels.hpp"

namespace patchtst_har::statistics {

const Kernels& active_kernels() {
    return cpu::active_table<kBaselineKernels, kAvx2Kernels, kAvx512Kernels>();
}

void compute_features(const float* window, std::size_t n_samples, double rate_hz, Workspace& workspace,
                      float* features) {
    active_kernels().features(window, workspace.plan(n_samples, rate_hz), features);
}

void compute_magnitude(const float* window, std::size_t n_samples, Workspace& workspace, float* magnitude) {
    // The magnitude does not depend on the rate. At another rate than this one, the features of the same
    // window have a plan of their own.
    const Plan& plan = workspace.plan(n_samples, 100.0);
    active_kernels().load(window, plan);
    std::copy_n(plan.channels[3], n_samples, magnitude);
}

}  // namespace patchtst_har::statistics
