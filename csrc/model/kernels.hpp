// The kernels of one instruction set. They use fused multiply-add where there is one, so the sets agree to
// rounding, not to the bit.
#pragma once

#include <cstddef>
#include <cstdint>

#include "model/operations.hpp"

namespace patchtst_har::model {

// Of the factors of linear steps; everything else is float32.
enum class Precision : std::uint8_t { kFloat32, kBfloat16 };

struct Kernels {
    bool pairs;                 // weights are pairs of bfloat16 in the bits of a float
    std::size_t lanes;          // floats a vector
    std::size_t panel_vectors;  // vectors a panel of packed weights
    std::size_t tile_rows;      // rows that share one reading of a panel
    void (*linear)(const Linear& step, const Block& block);
    void (*standardise)(const Standardise& step, const Block& block);
    void (*constant)(const Constant& step, const Block& block);
    void (*normalise)(const Normalise& step, const Block& block);
    void (*attention)(const Attention& step, const Block& block);
    void (*pool)(const Pool& step, const Block& block);
    // values[i] = exp(values[i]) and erf(values[i] / sqrt(2)); n is a multiple of kAlignment.
    void (*exponential)(float* values, std::size_t n);
    void (*error_function)(float* values, std::size_t n);
};

// One a unit; see cpu/dispatch.hpp.
extern const Kernels kBaselineKernels, kAvx2Kernels, kAvx512Kernels, kAvx512Bf16Kernels;

// Those of the active instruction set.
const Kernels& active_kernels();

// Those of the active instruction set for a precision; std::invalid_argument, saying what is missing, where
// there are none.
const Kernels& kernels_for(Precision precision);

}  // namespace patchtst_har::model
