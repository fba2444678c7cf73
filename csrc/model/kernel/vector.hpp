// Vectors of float32 as wide as the unit's registers, which PATCHTST_HAR_VECTOR_BYTES tells.
#pragma once

#include <cstddef>
#include <cstdint>

#if PATCHTST_HAR_VECTOR_BYTES > 16
#include <immintrin.h>
#endif

#define PATCHTST_HAR_INLINE inline __attribute__((always_inline))
// A stage keeps its name in a profile.
#define PATCHTST_HAR_STAGE __attribute__((noinline))

namespace patchtst_har::model {
namespace {

constexpr std::size_t kLanes = PATCHTST_HAR_VECTOR_BYTES / sizeof(float);

using Vector = float __attribute__((vector_size(PATCHTST_HAR_VECTOR_BYTES)));
using Integers = std::int32_t __attribute__((vector_size(PATCHTST_HAR_VECTOR_BYTES)));

PATCHTST_HAR_INLINE Vector load(const float* from) {
    Vector result;
    __builtin_memcpy(&result, from, sizeof result);
    return result;
}

PATCHTST_HAR_INLINE void store(float* to, Vector value) {
    __builtin_memcpy(to, &value, sizeof value);
}

PATCHTST_HAR_INLINE Vector all(float value) {
    return value - Vector{};
}

// a * b + c, rounded once where the instruction set can.
PATCHTST_HAR_INLINE Vector fused(Vector a, Vector b, Vector c) {
#if PATCHTST_HAR_VECTOR_BYTES == 64
    return _mm512_fmadd_ps(a, b, c);
#elif PATCHTST_HAR_VECTOR_BYTES == 32
    return _mm256_fmadd_ps(a, b, c);
#else
    return a * b + c;
#endif
}

#if PATCHTST_HAR_VECTOR_BYTES == 64
// For intrinsics that without a mask read an undefined register, of which GCC warns.
constexpr __mmask16 kAllLanes = 0xFFFF;
#endif

// a > b ? a : b and a < b ? a : b, for which compilers do not find the instruction: b where one is NaN.
PATCHTST_HAR_INLINE Vector larger(Vector a, Vector b) {
#if PATCHTST_HAR_VECTOR_BYTES == 64
    return _mm512_maskz_max_ps(kAllLanes, a, b);
#elif PATCHTST_HAR_VECTOR_BYTES == 32
    return _mm256_max_ps(a, b);
#else
    return a > b ? a : b;
#endif
}

PATCHTST_HAR_INLINE Vector smaller(Vector a, Vector b) {
#if PATCHTST_HAR_VECTOR_BYTES == 64
    return _mm512_maskz_min_ps(kAllLanes, a, b);
#elif PATCHTST_HAR_VECTOR_BYTES == 32
    return _mm256_min_ps(a, b);
#else
    return a < b ? a : b;
#endif
}

// NaN stays NaN.
PATCHTST_HAR_INLINE Vector limited(Vector value, float low, float high) {
    return smaller(all(high), larger(all(low), value));
}

// 0, 1, 2, ...
PATCHTST_HAR_INLINE Integers lane_numbers() {
    Integers result;
    for (std::size_t i = 0; i < kLanes; ++i) result[i] = static_cast<std::int32_t>(i);
    return result;
}

// The first `n` lanes of value; `rest` in the others.
PATCHTST_HAR_INLINE Vector first_lanes(Vector value, std::size_t n, float rest) {
    return lane_numbers() < static_cast<std::int32_t>(n) ? value : all(rest);
}

// Neighbours (2 i, 2 i + 1) exchanged.
PATCHTST_HAR_INLINE Vector swapped(Vector value) {
#if PATCHTST_HAR_VECTOR_BYTES == 64
    return __builtin_shufflevector(value, value, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
#elif PATCHTST_HAR_VECTOR_BYTES == 32
    return __builtin_shufflevector(value, value, 1, 0, 3, 2, 5, 4, 7, 6);
#else
    return __builtin_shufflevector(value, value, 1, 0, 3, 2);
#endif
}

// Lanes of a and b in turn: of their first halves, and of their second ones.
PATCHTST_HAR_INLINE Vector riffled_low(Vector a, Vector b) {
#if PATCHTST_HAR_VECTOR_BYTES == 64
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
#elif PATCHTST_HAR_VECTOR_BYTES == 32
    return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
#else
    return __builtin_shufflevector(a, b, 0, 4, 1, 5);
#endif
}

PATCHTST_HAR_INLINE Vector riffled_high(Vector a, Vector b) {
#if PATCHTST_HAR_VECTOR_BYTES == 64
    return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
#elif PATCHTST_HAR_VECTOR_BYTES == 32
    return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
#else
    return __builtin_shufflevector(a, b, 2, 6, 3, 7);
#endif
}

struct Sum {
    template <typename Value>
    PATCHTST_HAR_INLINE Value operator()(Value a, Value b) const {
        return a + b;
    }
};

struct Largest {
    template <typename Value>
    PATCHTST_HAR_INLINE Value operator()(Value a, Value b) const {
        return a > b ? a : b;
    }
};

// One value out of all lanes, by halves.
template <typename Operation>
PATCHTST_HAR_INLINE float reduced(Vector value, Operation operation) {
#if PATCHTST_HAR_VECTOR_BYTES == 64
    const auto eight = operation(__builtin_shufflevector(value, value, 0, 1, 2, 3, 4, 5, 6, 7),
                                 __builtin_shufflevector(value, value, 8, 9, 10, 11, 12, 13, 14, 15));
#elif PATCHTST_HAR_VECTOR_BYTES == 32
    const auto eight = value;
#endif
#if PATCHTST_HAR_VECTOR_BYTES > 16
    const auto four = operation(__builtin_shufflevector(eight, eight, 0, 1, 2, 3),
                                __builtin_shufflevector(eight, eight, 4, 5, 6, 7));
#else
    const auto four = value;
#endif
    const auto two = operation(four, __builtin_shufflevector(four, four, 2, 3, 2, 3));
    return operation(two[0], two[1]);
}

PATCHTST_HAR_INLINE float sum(Vector value) {
    return reduced(value, Sum{});
}

PATCHTST_HAR_INLINE float largest(Vector value) {
    return reduced(value, Largest{});
}

constexpr std::size_t vectors_for(std::size_t n_floats) {
    return (n_floats + kLanes - 1) / kLanes;
}

}  // namespace
}  // namespace patchtst_har::model
