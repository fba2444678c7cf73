// AVX2 and FMA: vectors of 32 bytes, and what SSE2 does with half of them.
#pragma once

#include "simd/sse2.hpp"

namespace patchtst_har::simd {
namespace {

using Floats8 = Vector<float, 8>;
using Words4 = Vector<std::uint64_t, 4>;

PATCHTST_HAR_INLINE Floats8 fused(const Floats8& a, const Floats8& b, const Floats8& c) {
    return _mm256_fmadd_ps(a, b, c);
}
PATCHTST_HAR_INLINE Floats8 larger(const Floats8& a, const Floats8& b) {
    return _mm256_max_ps(a, b);
}
PATCHTST_HAR_INLINE Floats8 smaller(const Floats8& a, const Floats8& b) {
    return _mm256_min_ps(a, b);
}
PATCHTST_HAR_INLINE Floats8 square_root(const Floats8& value) {
    return _mm256_sqrt_ps(value);
}
PATCHTST_HAR_INLINE Vector<float, 4> narrowed_root(const Vector<double, 4>& value) {
    return _mm256_cvtpd_ps(_mm256_sqrt_pd(value));
}

PATCHTST_HAR_INLINE Words4 low_products(const Words4& a, const Words4& b) {
    return bits_as<Words4>(_mm256_mul_epu32(bits_as<__m256i>(a), bits_as<__m256i>(b)));
}

PATCHTST_HAR_INLINE std::uint32_t bits_of_less(const Floats8& a, const Floats8& b) {
    return static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_LT_OQ)));
}
PATCHTST_HAR_INLINE unsigned bits_of_nonzero(const Words4& value) {
    const __m256i empty = _mm256_cmpeq_epi64(bits_as<__m256i>(value), _mm256_setzero_si256());
    return 0xFU ^ static_cast<unsigned>(_mm256_movemask_pd(_mm256_castsi256_pd(empty)));
}
PATCHTST_HAR_INLINE bool any_bit(const Words4& value) {
    const auto words = bits_as<__m256i>(value);
    return _mm256_testz_si256(words, words) == 0;
}

// Byte i of entry b: the position of the i-th bit that is set in b.
struct PackTable {
    std::uint64_t entry[256];
};

constexpr PackTable make_pack_table() {
    PackTable table{};
    for (std::uint32_t bits = 0; bits < 256; ++bits) {
        std::uint32_t found = 0;
        for (std::uint64_t i = 0; i < 8; ++i) {
            if ((bits >> i & 1U) != 0) table.entry[bits] |= i << (8 * found++);
        }
    }
    return table;
}

constexpr PackTable kPackTable = make_pack_table();

PATCHTST_HAR_INLINE void pack(float* target, const Floats8& value, std::uint32_t bits) {
    const __m128i positions = _mm_cvtsi64_si128(static_cast<long long>(kPackTable.entry[bits]));
    store(target, _mm256_permutevar8x32_ps(value, _mm256_cvtepu8_epi32(positions)));
}

PATCHTST_HAR_INLINE std::size_t sum_of_bytes(const Vector<std::uint8_t, 32>& bytes) {
    const auto lane = bits_as<Words4>(_mm256_sad_epu8(bits_as<__m256i>(bytes), _mm256_setzero_si256()));
    return (lane[0] + lane[1]) + (lane[2] + lane[3]);
}

}  // namespace
}  // namespace patchtst_har::simd
