#include "statistics/statistics.hpp"

#include <algorithm>

#include "statistics/kernels.hpp"

namespace patchtst_har::statistics {

void compute_features(const float* window, std::size_t n_samples, double rate_hz, Workspace& workspace,
                      float* features) {
    active_kernels().features(window, workspace.plan(n_samples, rate_hz), features);
}

void compute_magnitude(const float* window, std::size_t n_samples, Workspace& workspace, float* magnitude) {
    // The rate plays no part in it: any will do, and one that is in use already needs no plan of its own.
    const Plan& plan = workspace.plan(n_samples, 100.0);
    active_kernels().load(window, plan);
    std::copy_n(plan.channels[3], n_samples, magnitude);
}

}  // namespace patchtst_har::statistics
