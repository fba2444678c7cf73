// AVX-512 F, VL, DQ and BW: vectors of 64 bytes, and what AVX2 does with half of them. Intrinsics that
// without a mask read an undefined register, of which GCC warns, are given one of all lanes.
#pragma once

#include "simd/avx2.hpp"

namespace patchtst_har::simd {
namespace {

using Floats16 = Vector<float, 16>;
using Doubles8 = Vector<double, 8>;
using Words8 = Vector<std::uint64_t, 8>;
using Bytes64 = Vector<std::uint8_t, 64>;

constexpr __mmask8 kAll8 = 0xFF;
constexpr __mmask16 kAll16 = 0xFFFF;

PATCHTST_HAR_INLINE Floats16 fused(const Floats16& a, const Floats16& b, const Floats16& c) {
    return _mm512_fmadd_ps(a, b, c);
}
PATCHTST_HAR_INLINE Floats16 larger(const Floats16& a, const Floats16& b) {
    return _mm512_maskz_max_ps(kAll16, a, b);
}
PATCHTST_HAR_INLINE Floats16 smaller(const Floats16& a, const Floats16& b) {
    return _mm512_maskz_min_ps(kAll16, a, b);
}
PATCHTST_HAR_INLINE Floats16 square_root(const Floats16& value) {
    return _mm512_maskz_sqrt_ps(kAll16, value);
}
PATCHTST_HAR_INLINE Floats8 narrowed_root(const Doubles8& value) {
    return _mm512_maskz_cvtpd_ps(kAll8, _mm512_maskz_sqrt_pd(kAll8, value));
}
// The compiler takes four instructions where a conversion has one.
PATCHTST_HAR_INLINE Doubles8 widened(const Floats8& value) {
    return _mm512_maskz_cvtps_pd(kAll8, value);
}
PATCHTST_HAR_INLINE Floats8 narrowed(const Doubles8& value) {
    return _mm512_maskz_cvtpd_ps(kAll8, value);
}

PATCHTST_HAR_INLINE Words8 low_products(const Words8& a, const Words8& b) {
    return bits_as<Words8>(_mm512_maskz_mul_epu32(kAll8, bits_as<__m512i>(a), bits_as<__m512i>(b)));
}

PATCHTST_HAR_INLINE std::uint32_t bits_of_less(const Floats16& a, const Floats16& b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}
PATCHTST_HAR_INLINE std::uint64_t bits_of_less(const Bytes64& a, const Bytes64& b) {
    return _mm512_cmplt_epu8_mask(bits_as<__m512i>(a), bits_as<__m512i>(b));
}
PATCHTST_HAR_INLINE std::uint64_t bits_of_equal(const Bytes64& a, const Bytes64& b) {
    return _mm512_cmpeq_epi8_mask(bits_as<__m512i>(a), bits_as<__m512i>(b));
}
PATCHTST_HAR_INLINE unsigned bits_of_nonzero(const Words8& value) {
    const auto words = bits_as<__m512i>(value);
    return _mm512_test_epi64_mask(words, words);
}
PATCHTST_HAR_INLINE bool any_bit(const Words8& value) {
    return bits_of_nonzero(value) != 0;
}

PATCHTST_HAR_INLINE void pack(float* target, const Floats16& value, std::uint32_t bits) {
    store(target, _mm512_maskz_compress_ps(static_cast<__mmask16>(bits), value));
}

// The first `count` < 16 values; 0 in the other lanes, or nothing written there.
PATCHTST_HAR_INLINE Floats16 load_first(const float* from, std::size_t count) {
    return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1U << count) - 1U), from);
}
PATCHTST_HAR_INLINE void store_first(float* to, const Floats16& value, std::size_t count) {
    _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1U << count) - 1U), value);
}

// Which of two registers' 32 values come to the lanes of an axis, and then, with the third register behind
// them.
struct AxisLanes {
    std::int32_t first[16], last[16];
};

constexpr AxisLanes lanes_of_axis(std::int32_t axis) {
    AxisLanes lanes{};
    for (std::int32_t i = 0; i < 16; ++i) {
        const std::int32_t from = 3 * i + axis;
        lanes.first[i] = from % 32;
        lanes.last[i] = from < 32 ? i : from - 16;
    }
    return lanes;
}

constexpr AxisLanes kAxisLanes[] = {lanes_of_axis(0), lanes_of_axis(1), lanes_of_axis(2)};

// Deals out the values of sixteen triples.
PATCHTST_HAR_INLINE void split_triples(const float* triples, float* const (&axes)[3]) {
    const __m512 a = _mm512_loadu_ps(triples);
    const __m512 b = _mm512_loadu_ps(triples + 16);
    const __m512 c = _mm512_loadu_ps(triples + 32);
    for (std::size_t axis = 0; axis < 3; ++axis) {
        const AxisLanes& lanes = kAxisLanes[axis];
        const __m512 most = _mm512_permutex2var_ps(a, _mm512_loadu_si512(lanes.first), b);
        store(axes[axis], _mm512_permutex2var_ps(most, _mm512_loadu_si512(lanes.last), c));
    }
}

}  // namespace
}  // namespace patchtst_har::simd
