// The kernels of one instruction set. They use fused multiply-adds where the set has them, so that sets agree
// within rounding, not to the last bit.
#pragma once

#include <cstddef>

#include "attention/attention.hpp"

namespace patchtst_har::attention {

// Rows of heads are padded with zeros to whole blocks of this many floats.
inline constexpr std::size_t kLanes = 16;

constexpr std::size_t padded(std::size_t n) {
    return (n + kLanes - 1) / kLanes * kLanes;
}

// The rotation as x * cos + swapped(x) * sin, swapped() exchanging the members of each pair: (n_tokens,
// padded(head_dim)), every cosine twice, every sine with both signs.
struct Tables {
    const float* cos;
    const float* sin;
};

struct Kernels {
    // Both handle one head of one batch row, `head` counting through n_batch * n_heads, and need
    // `*_scratch(shape)` floats of memory, aligned to 64 bytes.
    void (*forward)(const Inputs& inputs, const Tables& tables, const Outputs& outputs, std::size_t head,
                    float* scratch);
    void (*backward)(const Inputs& inputs, const Tables& tables, const Gradients& gradients, std::size_t head,
                     float* scratch);
    std::size_t (*forward_scratch)(const Shape& shape);
    std::size_t (*backward_scratch)(const Shape& shape);
    // Dropout of the values from `begin`, a multiple of 64, to `end`.
    void (*drop_values)(const float* values, std::size_t begin, std::size_t end, const Dropout& dropout,
                        float* result);
};

// One a unit; see cpu/isa.hpp.
extern const Kernels kBaselineKernels, kAvx2Kernels, kAvx512Kernels;

// Those of the active instruction set.
const Kernels& active_kernels();

}  // namespace patchtst_har::attention
