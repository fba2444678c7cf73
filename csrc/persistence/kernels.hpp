// The kernels of one instruction set; every set gives the same bits.
#pragma once

#include "persistence/complex.hpp"

namespace patchtst_har::persistence {

struct Kernels {
    // Fills `distances` with the Euclidean ones, computed in float64 and rounded to float32.
    void (*measure)(const Points& points, const Distances& distances);
    // Adds edges until all are in or a list might overflow.
    void (*grow)(Growth& growth);
};

// One a unit; see cpu/dispatch.hpp.
extern const Kernels kBaselineKernels, kAvx2Kernels, kAvx512Kernels;

// Those of the active instruction set.
const Kernels& active_kernels();

}  // namespace patchtst_har::persistence
