// The body of every per-ISA unit. The unit defines PATCHTST_HAR_VECTOR_BYTES and PATCHTST_HAR_KERNELS, the
// name of its table. Nothing else here has external linkage: the linker could otherwise pick one unit's copy
// for all of them.
#pragma once

#include "attention/kernel/backward.hpp"
#include "attention/kernel/forward.hpp"

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

}  // namespace

extern const Kernels PATCHTST_HAR_KERNELS = {&forward_head, &backward_head, &forward_scratch,
                                             &backward_scratch, &dropout_factors_of_head};

}  // namespace patchtst_har::attention
