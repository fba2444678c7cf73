// Linear steps in float32.
#pragma once

#include "model/kernel/product.hpp"

namespace patchtst_har::model {
namespace {

constexpr bool kPairs = false;

struct Gelu {
    PATCHTST_HAR_INLINE Vector operator()(Vector x) const { return gelu(x); }
};

void linear(const Linear& step, const Block& block) {
    const float* source = block.sources[step.source.buffer];
    float* target = block.targets[step.target.buffer];
    const std::size_t n_values = step.n_segments * step.segment_length;
    for (std::size_t first = 0; first < step.n_vectors; first += kPanelVectors) {
        const std::size_t left = step.n_vectors - first;
        const std::size_t n_vectors = left < kPanelVectors ? left : kPanelVectors;
        Tile tile{{},
                  {},
                  step.weights + first * kLanes * n_values,
                  n_vectors * kLanes,
                  step.bias + first * kLanes,
                  step.n_segments,
                  step.segment_length,
                  step.segment_stride,
                  step.adds};
        Rows sources(step.source, step.n_outer, step.n_inner);
        Rows targets(step.target, step.n_outer, step.n_inner);
        for (std::size_t n_left = block.n_windows * step.n_outer * step.n_inner; n_left > 0;) {
            const std::size_t n_rows = rows_of_next_tile(n_left);
            for (std::size_t i = 0; i < n_rows; ++i) {
                tile.a[i] = source + sources.next();
                tile.c[i] = target + targets.next() + first * kLanes;
            }
            multiply(tile, n_rows, n_vectors);
            if (step.activation != Activation::kNone) {
                activate(tile, n_rows, n_vectors, step.activation, Gelu{});
            }
            n_left -= n_rows;
        }
    }
}

}  // namespace
}  // namespace patchtst_har::model
