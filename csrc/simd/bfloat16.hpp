// AVX-512 BF16: products of pairs of bfloat16, two to a float32 lane.
#pragma once

#include "simd/avx512.hpp"

namespace patchtst_har::simd {
namespace {

// sums + the two products of a pair that every lane shares, and a pair of its own.
PATCHTST_HAR_INLINE Floats16 add_pairs(const float* shared, const Floats16& pairs, const Floats16& sums) {
    const __m512i both = _mm512_set1_epi32(load<int>(shared));
    return _mm512_dpbf16_ps(sums, bits_as<__m512bh>(both), bits_as<__m512bh>(pairs));
}

// Rounds n values, and writes zeros behind them up to the next pair at least.
PATCHTST_HAR_INLINE void round_values(const float* values, std::size_t n, std::uint16_t* rounded) {
    constexpr std::size_t kHalf = 16;
    for (std::size_t k = 0; k < n; k += 2 * kHalf) {
        const std::size_t left = n - k;
        const __mmask32 present = left < 2 * kHalf ? (1U << left) - 1 : ~0U;
        const __m512 low = _mm512_maskz_loadu_ps(static_cast<__mmask16>(present), values + k);
        const __m512 high =
            _mm512_maskz_loadu_ps(static_cast<__mmask16>(present >> kHalf), values + k + kHalf);
        const auto both = bits_as<__m512i>(_mm512_cvtne2ps_pbh(high, low));
        _mm512_mask_storeu_epi16(rounded + k, present | present << 1U, both);
    }
}

}  // namespace
}  // namespace patchtst_har::simd
