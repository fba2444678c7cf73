// The kernels of one instruction set; every set gives the same bits.
#pragma once

#include <cstddef>

#include "statistics/plan.hpp"

namespace patchtst_har::statistics {

struct Kernels {
    // Writes the features of `window` (plan.n x 3, row major) to features[0..56).
    void (*features)(const float* window, const Plan& plan, float* features);
    // Fills plan.channels: the repaired axes and their magnitude.
    void (*load)(const float* window, const Plan& plan);
    // Replaces re + i im by its unnormalised transform with the kernel exp(-2 pi i j k / n).
    void (*transform)(const FftPlan& plan, double* re, double* im);
};

extern const Kernels kBaselineKernels;
#if defined(PATCHTST_HAR_X86)
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
#endif

// Those of the active instruction set.
const Kernels& active_kernels();

}  // namespace patchtst_har::statistics
