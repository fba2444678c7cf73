#include "statistics/statistics.hpp"

#include "cpu/isa.hpp"
#include "statistics/kernels.hpp"

namespace patchtst_har::statistics {

const Kernels& active_kernels() {
    return cpu::active_table<kBaselineKernels, kAvx2Kernels, kAvx512Kernels>();
}

void compute_features(const float* window, std::size_t n_samples, double rate_hz, Workspace& workspace,
                      float* features) {
    active_kernels().features(window, workspace.plan(n_samples, rate_hz), features);
}

void compute_movement(const float* window, std::size_t n_samples, double rate_hz, Workspace& workspace,
                      float* features) {
    const Plan& plan = workspace.plan(n_samples, rate_hz);
    active_kernels().movement(window, plan, workspace.movement_plan(n_samples, rate_hz), features);
}

const float* compute_magnitude(const float* window, std::size_t n_samples, Workspace& workspace) {
    // The magnitude does not depend on the rate. At another rate than this one, the features of the same
    // window have a plan of their own.
    const Plan& plan = workspace.plan(n_samples, 100.0);
    active_kernels().load(window, plan);
    return plan.channels[3];
}

const float* last_magnitude(std::size_t n_samples, double rate_hz, Workspace& workspace) {
    return workspace.plan(n_samples, rate_hz).channels[3];
}

}  // namespace patchtst_har::statistics
