// Blocks of sixteen float32 values, and registers of them: comparisons as bits, and packing by such bits.
#pragma once

#include "statistics/kernel/lanes.hpp"

namespace patchtst_har::statistics {
namespace {

constexpr std::size_t kFloats = 16;
constexpr std::size_t kFloatWidth = PATCHTST_HAR_VECTOR_BYTES / sizeof(float);
constexpr std::size_t kFloatParts = kFloats / kFloatWidth;

using FloatRegister = float __attribute__((vector_size(PATCHTST_HAR_VECTOR_BYTES)));
using IntRegister = std::int32_t __attribute__((vector_size(PATCHTST_HAR_VECTOR_BYTES)));
using FourFloats = float __attribute__((vector_size(16)));

PATCHTST_HAR_INLINE FloatRegister all_of(float value) {
    return value - FloatRegister{};
}

PATCHTST_HAR_INLINE FloatRegister least(FloatRegister a, FloatRegister b) {
    return b < a ? b : a;
}

PATCHTST_HAR_INLINE FloatRegister greatest(FloatRegister a, FloatRegister b) {
    return b > a ? b : a;
}

PATCHTST_HAR_INLINE FloatRegister square_root_of(FloatRegister value) {
#if PATCHTST_HAR_VECTOR_BYTES == 64
    return _mm512_maskz_sqrt_ps(0xFFFF, value);
#elif PATCHTST_HAR_VECTOR_BYTES == 32
    return _mm256_sqrt_ps(value);
#elif defined(__SSE2__)
    return _mm_sqrt_ps(value);
#else
    for (std::size_t i = 0; i < kFloatWidth; ++i) value[i] = __builtin_sqrtf(value[i]);
    return value;
#endif
}

// Bit i tells whether a[i] < b[i].
PATCHTST_HAR_INLINE std::uint32_t bits_of_less(FloatRegister a, FloatRegister b) {
#if PATCHTST_HAR_VECTOR_BYTES == 64
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
#elif PATCHTST_HAR_VECTOR_BYTES == 32
    return static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_LT_OQ)));
#elif defined(__SSE2__)
    return static_cast<std::uint32_t>(_mm_movemask_ps(_mm_cmplt_ps(a, b)));
#else
    std::uint32_t result = 0;
    for (std::size_t i = 0; i < kFloatWidth; ++i) result |= std::uint32_t{a[i] < b[i]} << i;
    return result;
#endif
}

// Of one bit a lane. Without an instruction for it, the compiler would call its library: four have a table.
PATCHTST_HAR_INLINE std::size_t count_bits(std::uint32_t bits) {
#if PATCHTST_HAR_VECTOR_BYTES == 16
    constexpr std::uint64_t kCounts = 0x4332322132212110;
    return kCounts >> (4 * bits) & 0xFU;
#else
    return static_cast<std::size_t>(__builtin_popcount(bits));
#endif
}

#if PATCHTST_HAR_VECTOR_BYTES == 32
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
#endif

// Writes the values whose bits are set, side by side, and anything behind them up to a whole register.
PATCHTST_HAR_INLINE void pack(float* target, FloatRegister value, std::uint32_t bits) {
#if PATCHTST_HAR_VECTOR_BYTES == 64
    store(target, _mm512_maskz_compress_ps(static_cast<__mmask16>(bits), value));
#elif PATCHTST_HAR_VECTOR_BYTES == 32
    const __m128i positions = _mm_cvtsi64_si128(static_cast<long long>(kPackTable.entry[bits]));
    store(target, _mm256_permutevar8x32_ps(value, _mm256_cvtepu8_epi32(positions)));
#else
    for (std::size_t i = 0; i < kFloatWidth; ++i) {
        *target = value[i];
        target += bits >> i & 1U;
    }
#endif
}

// The bits of those lanes of a register that hold one of the `left` values still to come.
PATCHTST_HAR_INLINE std::uint32_t bits_below(std::size_t left) {
    return left < kFloatWidth ? (1U << left) - 1U : (1U << kFloatWidth) - 1U;
}

// The one of sixteen lanes that `one` and `four` prefer, four lanes at a time.
template <typename One, typename Four>
PATCHTST_HAR_INLINE float folded(const FloatRegister* sixteen, One one, Four four) {
    float lane[kFloats];
    __builtin_memcpy(lane, sixteen, sizeof lane);
    const FourFloats first = four(load<FourFloats>(lane), load<FourFloats>(lane + 4));
    const FourFloats second = four(load<FourFloats>(lane + 8), load<FourFloats>(lane + 12));
    const FourFloats last = four(first, second);
    return one(one(last[0], last[1]), one(last[2], last[3]));
}

PATCHTST_HAR_INLINE float smallest_of(const FloatRegister* sixteen) {
    return folded(
        sixteen, [](float a, float b) { return b < a ? b : a; },
        [](FourFloats a, FourFloats b) { return b < a ? b : a; });
}

PATCHTST_HAR_INLINE float largest_of(const FloatRegister* sixteen) {
    return folded(
        sixteen, [](float a, float b) { return b > a ? b : a; },
        [](FourFloats a, FourFloats b) { return b > a ? b : a; });
}

// Sixteen lanes that remember the smallest and the largest value they saw.
class Extremes {
  public:
    explicit PATCHTST_HAR_INLINE Extremes(float first) {
        for (std::size_t i = 0; i < kFloatParts; ++i) low_[i] = high_[i] = all_of(first);
    }

    PATCHTST_HAR_INLINE void see(const float* sixteen) {
        for (std::size_t i = 0; i < kFloatParts; ++i) {
            const auto value = load<FloatRegister>(sixteen + i * kFloatWidth);
            low_[i] = least(low_[i], value);
            high_[i] = greatest(high_[i], value);
        }
    }

    PATCHTST_HAR_INLINE void result(float& smallest, float& largest) const {
        smallest = smallest_of(low_);
        largest = largest_of(high_);
    }

  private:
    FloatRegister low_[kFloatParts], high_[kFloatParts];
};

// Smallest and largest of values[0..n), n >= 1.
PATCHTST_HAR_INLINE void extremes_of(const float* values, std::size_t n, float& smallest, float& largest) {
    Extremes extremes(values[0]);
    const std::size_t whole = n - n % kFloats;
    for (std::size_t start = 0; start < whole; start += kFloats) extremes.see(values + start);
    extremes.result(smallest, largest);
    for (std::size_t i = whole; i < n; ++i) {
        smallest = values[i] < smallest ? values[i] : smallest;
        largest = values[i] > largest ? values[i] : largest;
    }
}

}  // namespace
}  // namespace patchtst_har::statistics
