// What every instruction set offers, in plain C++: what its own header does not define by an instruction is
// taken from here, because a template comes second to a function.
#pragma once

#include "simd/vectors.hpp"

namespace patchtst_har::simd {
namespace {

// a * b + c, of float32 rounded once where the instruction set can; of float64 always twice, so that the
// features have the same bits everywhere.
template <typename AnyVector>
PATCHTST_HAR_INLINE AnyVector fused(const AnyVector& a, const AnyVector& b, const AnyVector& c) {
    return a * b + c;
}

// a > b ? a : b and a < b ? a : b, for which compilers do not find the instruction: b where one is NaN.
template <typename AnyVector>
PATCHTST_HAR_INLINE AnyVector larger(const AnyVector& a, const AnyVector& b) {
    return a > b ? a : b;
}
template <typename AnyVector>
PATCHTST_HAR_INLINE AnyVector smaller(const AnyVector& a, const AnyVector& b) {
    return a < b ? a : b;
}

// Correctly rounded, as all that follows.
template <typename AnyVector>
PATCHTST_HAR_INLINE AnyVector square_root(AnyVector value) {
    for (std::size_t i = 0; i < kLanesOf<AnyVector>; ++i) value[i] = __builtin_sqrtf(value[i]);
    return value;
}
template <typename Doubles>
PATCHTST_HAR_INLINE Vector<float, kLanesOf<Doubles>> narrowed_root(const Doubles& value) {
    Vector<float, kLanesOf<Doubles>> result{};
    for (std::size_t i = 0; i < kLanesOf<Doubles>; ++i) {
        result[i] = static_cast<float>(__builtin_sqrt(value[i]));
    }
    return result;
}
template <typename AnySingles>
PATCHTST_HAR_INLINE auto widened(const AnySingles& value) {
    return __builtin_convertvector(value, Vector<double, kLanesOf<AnySingles>>);
}
template <typename Doubles>
PATCHTST_HAR_INLINE auto narrowed(const Doubles& value) {
    return __builtin_convertvector(value, Vector<float, kLanesOf<Doubles>>);
}

// The 64-bit products of the lower halves of 64-bit lanes.
template <typename Words>
PATCHTST_HAR_INLINE Words low_products(const Words& a, const Words& b) {
    constexpr std::uint64_t kLowerHalf = 0xFFFFFFFF;
    return (a & kLowerHalf) * (b & kLowerHalf);
}

// Bit i is set if a[i] < b[i], and if a[i] == b[i].
template <typename AnyVector>
PATCHTST_HAR_INLINE std::uint32_t bits_of_less(const AnyVector& a, const AnyVector& b) {
    std::uint32_t result = 0;
    for (std::size_t i = 0; i < kLanesOf<AnyVector>; ++i) result |= std::uint32_t{a[i] < b[i]} << i;
    return result;
}
template <typename AnyVector>
PATCHTST_HAR_INLINE std::uint32_t bits_of_equal(const AnyVector& a, const AnyVector& b) {
    std::uint32_t result = 0;
    for (std::size_t i = 0; i < kLanesOf<AnyVector>; ++i) result |= std::uint32_t{a[i] == b[i]} << i;
    return result;
}

// Bit w is set if word w is not 0.
template <typename Words>
PATCHTST_HAR_INLINE unsigned bits_of_nonzero(const Words& value) {
    constexpr unsigned kCount = 8 * sizeof value / 64;
    // Not subscripted in place: GCC 12 loses a variable index into a vector under its sanitizers.
    std::uint64_t words[kCount];
    store(words, value);
    unsigned found = 0;
    for (unsigned w = 0; w < kCount; ++w) found |= (words[w] != 0 ? 1U : 0U) << w;
    return found;
}
template <typename Words>
PATCHTST_HAR_INLINE bool any_bit(const Words& value) {
    std::uint64_t words[8 * sizeof value / 64];
    store(words, value);
    std::uint64_t found = 0;
    for (const std::uint64_t word : words) found |= word;
    return found != 0;
}

// Of one bit a lane. Without an instruction for it, the compiler would call its library: four have a table.
PATCHTST_HAR_INLINE std::size_t count_bits(std::uint32_t bits) {
    if constexpr (kRegisterBytes == 16) {
        constexpr std::uint64_t kCounts = 0x4332322132212110;
        return kCounts >> (4 * bits) & 0xFU;
    }
    return static_cast<std::size_t>(__builtin_popcount(bits));
}

// Writes the values whose bits are set, side by side, and anything behind them up to a whole register.
template <typename AnyVector>
PATCHTST_HAR_INLINE void pack(float* target, const AnyVector& value, std::uint32_t bits) {
    for (std::size_t i = 0; i < kLanesOf<AnyVector>; ++i) {
        *target = value[i];
        target += bits >> i & 1U;
    }
}

// The sum of a register of bytes.
template <typename Bytes>
PATCHTST_HAR_INLINE std::size_t sum_of_bytes(const Bytes& bytes) {
    std::size_t sum = 0;
    for (std::size_t i = 0; i < sizeof bytes; ++i) sum += bytes[i];
    return sum;
}

}  // namespace
}  // namespace patchtst_har::simd
