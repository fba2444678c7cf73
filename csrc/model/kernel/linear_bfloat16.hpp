// Linear steps whose factors are rounded to bfloat16, two to a lane; sums are float32.
#pragma once

#include "model/kernel/product.hpp"
#include "simd/bfloat16.hpp"

namespace patchtst_har::model {
namespace {

constexpr bool kPairs = true;

struct Pairs {
    static PATCHTST_HAR_INLINE Vector add(const float* pair, const Vector& columns, const Vector& sums) {
        return add_pairs(pair, columns, sums);
    }
};

// x Phi(x) within 8e-5 |x|; rounding it to bfloat16 costs up to 2e-3 of it. Phi(x) - 1/2 is x times a
// polynomial in x^2, fitted to the least largest error from 0 to 4 and scaled to be 1/2 at 4.
struct CoarseGelu {
    PATCHTST_HAR_INLINE Vector operator()(Vector value) const {
        const Vector x = limited(value, -4.0F, 4.0F);
        const Vector t = x * x;
        const Vector p =
            polynomial(t, -3.161752690e-09F, 2.434394399e-07F, -8.202413237e-06F, 1.613497781e-04F,
                       -2.096618125e-03F, 1.933175400e-02F, -1.323646960e-01F, 7.977792585e-01F);
        const Vector half = 0.5F * value;
        return fused(half, x * p, half);
    }
};

void linear(const Linear& step, const Block& block) {
    const float* source = block.sources[step.source.buffer];
    float* target = block.targets[step.target.buffer];
    const std::size_t n_pairs = pairs_for(step.n_segments * step.segment_length);
    const std::size_t row_length = vectors_for(n_pairs) * kLanes;
    Rows sources(step.source, step.n_outer, step.n_inner);
    Rows targets(step.target, step.n_outer, step.n_inner);
    for (std::size_t n_left = block.n_windows * step.n_outer * step.n_inner; n_left > 0;) {
        const std::size_t n_rows = rows_of_next_tile(n_left);
        Tile tile{{}, {}, step.weights, 0, step.bias, 1, n_pairs, 0, step.adds};
        for (std::size_t i = 0; i < n_rows; ++i) {
            float* row = block.scratch + i * row_length;
            const float* values = source + sources.next();
            for (std::size_t segment = 0; segment < step.n_segments; ++segment) {
                round_values(values + segment * step.segment_stride, step.segment_length,
                             reinterpret_cast<std::uint16_t*>(row) + segment * step.segment_length);
            }
            tile.a[i] = row;
            tile.c[i] = target + targets.next();
        }
        for (std::size_t first = 0; first < step.n_vectors; first += kPanelVectors) {
            const std::size_t left = step.n_vectors - first;
            const std::size_t n_vectors = left < kPanelVectors ? left : kPanelVectors;
            tile.b_stride = n_vectors * kLanes;
            multiply<Pairs>(tile, n_rows, n_vectors);
            if (step.activation != Activation::kNone) {
                activate(tile, n_rows, n_vectors, step.activation, CoarseGelu{});
            }
            tile.b += n_pairs * tile.b_stride;
            tile.bias += tile.b_stride;
            for (std::size_t i = 0; i < n_rows; ++i) tile.c[i] += tile.b_stride;
        }
        n_left -= n_rows;
    }
}

}  // namespace
}  // namespace patchtst_har::model
