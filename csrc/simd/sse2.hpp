// The baseline of x86-64: vectors of 16 bytes.
#pragma once

#include <immintrin.h>

#include "simd/portable.hpp"

namespace patchtst_har::simd {
namespace {

PATCHTST_HAR_INLINE Vector<float, 4> square_root(const Vector<float, 4>& value) {
    return _mm_sqrt_ps(value);
}
PATCHTST_HAR_INLINE Vector<float, 2> square_root(const Vector<float, 2>& value) {
    const __m128 root = _mm_sqrt_ps(__m128{value[0], value[1], 1.0F, 1.0F});
    return Vector<float, 2>{root[0], root[1]};
}

PATCHTST_HAR_INLINE Vector<std::uint64_t, 2> low_products(const Vector<std::uint64_t, 2>& a,
                                                          const Vector<std::uint64_t, 2>& b) {
    return bits_as<Vector<std::uint64_t, 2>>(_mm_mul_epu32(bits_as<__m128i>(a), bits_as<__m128i>(b)));
}

PATCHTST_HAR_INLINE std::uint32_t bits_of_less(const Vector<float, 4>& a, const Vector<float, 4>& b) {
    return static_cast<std::uint32_t>(_mm_movemask_ps(_mm_cmplt_ps(a, b)));
}
PATCHTST_HAR_INLINE std::uint32_t bits_of_equal(const Vector<std::uint8_t, 16>& a,
                                                const Vector<std::uint8_t, 16>& b) {
    const __m128i equal = _mm_cmpeq_epi8(bits_as<__m128i>(a), bits_as<__m128i>(b));
    return static_cast<std::uint32_t>(_mm_movemask_epi8(equal));
}

PATCHTST_HAR_INLINE std::size_t sum_of_bytes(const Vector<std::uint8_t, 16>& bytes) {
    const __m128i eight = _mm_sad_epu8(bits_as<__m128i>(bytes), _mm_setzero_si128());
    const auto lane = bits_as<Vector<std::uint64_t, 2>>(eight);
    return lane[0] + lane[1];
}

}  // namespace
}  // namespace patchtst_har::simd
