// The body of every per-ISA unit. The unit defines PATCHTST_HAR_VECTOR_BYTES and PATCHTST_HAR_KERNELS, the
// name of its table. Nothing else here has external linkage: the linker could otherwise pick one unit's copy
// for all of them.
#pragma once

#include "attention/kernel/backward.hpp"

namespace patchtst_har::attention {
namespace {

void dropout_factors_of_head(const Shape& shape, const Dropout& dropout, std::size_t head, float* factors) {
    const std::size_t n = shape.n_tokens;
    float* of_head = factors + head * n * n;
    for (std::size_t query = 0; query < n; query += kLanes) {
        DropoutFactors block(dropout, head, query);
        for (std::size_t key = 0; key < n; ++key) {
            const std::size_t count = n - query < kLanes ? n - query : kLanes;
            block.at(key).first_to(of_head + key * n + query, count);
        }
    }
}

// Values in rising blocks of 64, each with the numbers of keys 4 * block.. and queries 0..15 of head 0.
void drop_values(const float* values, std::size_t begin, std::size_t end, const Dropout& dropout,
                 float* result) {
    const float kept = factor_of_kept(dropout);
    alignas(64) std::uint16_t numbers[kBlock];
    for (std::size_t first = begin; first < end; first += kBlock) {
        random_block(dropout.seed, 0, first / kBlock, 0, numbers);
        for (std::size_t i = 0; i < kBlock && first + i < end; i += kLanes) {
            const Sixteen value = Sixteen::first(values + first + i, end - first - i);
            const Sixteen dropped = value * factors_of(numbers + i, dropout, kept);
            dropped.first_to(result + first + i, end - first - i);
        }
    }
}

}  // namespace

extern const Kernels PATCHTST_HAR_KERNELS = {&forward_head,     &backward_head,           &forward_scratch,
                                             &backward_scratch, &dropout_factors_of_head, &drop_values};

}  // namespace patchtst_har::attention
