// What a linear step applies to a tile of its results.
#pragma once

#include "model/kernel/product.hpp"

namespace patchtst_har::model {
namespace {

PATCHTST_HAR_INLINE Vector gelu(const Vector& x) {
    const Vector half = 0.5F * x;
    return fused(half, error_function(x), half);
}

PATCHTST_HAR_INLINE Vector relu(const Vector& x) {
    return x < 0.0F ? Vector{} : x;
}

template <typename Gelu>
PATCHTST_HAR_STAGE void activate(const Tile& tile, std::size_t n_rows, std::size_t n_vectors,
                                 Activation activation, Gelu gelu) {
    for (std::size_t i = 0; i < n_rows; ++i) {
        float* row = tile.c[i];
        for (std::size_t j = 0; j < n_vectors; ++j, row += kLanes) {
            const Vector x = load(row);
            store(row, activation == Activation::kGelu ? gelu(x) : relu(x));
        }
    }
}

}  // namespace
}  // namespace patchtst_har::model
