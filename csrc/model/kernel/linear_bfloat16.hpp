// Linear steps whose factors are rounded to bfloat16, two to a lane; sums are float32.
#pragma once

#include "model/kernel/activation.hpp"

namespace patchtst_har::model {
namespace {

constexpr bool kPairs = true;

// Two products of a pair that every lane shares.
struct Pairs {
    static PATCHTST_HAR_INLINE Vector add(const float* pair, Vector columns, Vector sums) {
        int bits = 0;
        __builtin_memcpy(&bits, pair, sizeof bits);
        return _mm512_dpbf16_ps(sums, __builtin_bit_cast(__m512bh, _mm512_set1_epi32(bits)),
                                __builtin_bit_cast(__m512bh, columns));
    }
};

// x Phi(x) within 8e-5 |x|; rounding it to bfloat16 costs up to 2e-3 of it. Phi(x) - 1/2 is x times a
// polynomial in x^2, fitted to the least largest error from 0 to 4 and scaled to be 1/2 at 4.
struct CoarseGelu {
    PATCHTST_HAR_INLINE Vector operator()(Vector value) const {
        const Vector x = limited(value, -4.0F, 4.0F);
        const Vector t = x * x;
        Vector p = fused(t, all(-3.161752690e-09F), all(2.434394399e-07F));
        p = fused(p, t, all(-8.202413237e-06F));
        p = fused(p, t, all(1.613497781e-04F));
        p = fused(p, t, all(-2.096618125e-03F));
        p = fused(p, t, all(1.933175400e-02F));
        p = fused(p, t, all(-1.323646960e-01F));
        p = fused(p, t, all(7.977792585e-01F));
        const Vector half = 0.5F * value;
        return fused(half, x * p, half);
    }
};

// Rounds n values, and writes zeros behind them up to the next pair at least.
PATCHTST_HAR_INLINE void round_values(const float* values, std::size_t n, std::uint16_t* rounded) {
    constexpr std::size_t kRounded = 2 * kLanes;
    for (std::size_t k = 0; k < n; k += kRounded) {
        const std::size_t left = n - k;
        const __mmask32 present = left < kRounded ? (1U << left) - 1 : ~0U;
        const __m512 low = _mm512_maskz_loadu_ps(static_cast<__mmask16>(present), values + k);
        const __m512 high =
            _mm512_maskz_loadu_ps(static_cast<__mmask16>(present >> kLanes), values + k + kLanes);
        const auto both = __builtin_bit_cast(__m512i, _mm512_cvtne2ps_pbh(high, low));
        _mm512_mask_storeu_epi16(rounded + k, present | present << 1U, both);
    }
}

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
