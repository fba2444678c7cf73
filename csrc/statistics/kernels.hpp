// The kernels of one instruction set; every set gives the same bits.
#pragma once

#include <cstddef>

#include "statistics/plan.hpp"

namespace patchtst_har::statistics {

struct Kernels {
    // Writes the features of `window` (plan.n x 3, row major) to features[0..kFeatureCount).
    void (*features)(const float* window, const Plan& plan, float* features);
    // Fills plan.channels: the repaired axes and their magnitude.
    void (*load)(const float* window, const Plan& plan);
    // Replaces re + i im by its unnormalised transform with the kernel exp(-2 pi i j k / n).
    void (*transform)(const FftPlan& plan, double* re, double* im);
};

// One a unit; see cpu/dispatch.hpp.
extern const Kernels kBaselineKernels, kAvx2Kernels, kAvx512Kernels;

// Those of the active instruction set.
const Kernels& active_kernels();

}  // namespace patchtst_har::statistics
