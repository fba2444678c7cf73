// Sixteen float32 lanes, made of as many registers as the unit's instruction set needs.
// PATCHTST_HAR_VECTOR_BYTES is the width of a register.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "attention/kernels.hpp"

#define PATCHTST_HAR_INLINE inline __attribute__((always_inline))
// A stage keeps its name in a profile.
#define PATCHTST_HAR_STAGE __attribute__((noinline))

namespace patchtst_har::attention {
namespace {

constexpr std::size_t kWidth = PATCHTST_HAR_VECTOR_BYTES / sizeof(float);
constexpr std::size_t kParts = kLanes / kWidth;

using Register = float __attribute__((vector_size(PATCHTST_HAR_VECTOR_BYTES)));
using Integers = std::int32_t __attribute__((vector_size(PATCHTST_HAR_VECTOR_BYTES)));
using Halves = std::uint16_t __attribute__((vector_size(PATCHTST_HAR_VECTOR_BYTES / 2)));

template <typename Vector, typename Value>
PATCHTST_HAR_INLINE Vector load(const Value* from) {
    Vector result;
    __builtin_memcpy(&result, from, sizeof result);
    return result;
}

template <typename Value, typename Vector>
PATCHTST_HAR_INLINE void store(Value* to, const Vector& value) {
    __builtin_memcpy(to, &value, sizeof value);
}

// a * b + c, rounded once where the instruction set can.
PATCHTST_HAR_INLINE Register fused(Register a, Register b, Register c) {
#if PATCHTST_HAR_VECTOR_BYTES == 64
    return _mm512_fmadd_ps(a, b, c);
#elif PATCHTST_HAR_VECTOR_BYTES == 32
    return _mm256_fmadd_ps(a, b, c);
#else
    return a * b + c;
#endif
}

// The members of the pairs (2i, 2i+1) exchanged.
PATCHTST_HAR_INLINE Register swapped(Register value) {
#if PATCHTST_HAR_VECTOR_BYTES == 64
    return _mm512_permute_ps(value, 0xB1);
#elif PATCHTST_HAR_VECTOR_BYTES == 32
    return _mm256_permute_ps(value, 0xB1);
#else
    return __builtin_shufflevector(value, value, 1, 0, 3, 2);
#endif
}

struct Lanes {
    Register part[kParts];

    static PATCHTST_HAR_INLINE Lanes all(float value) {
        Lanes result;
        for (auto& part : result.part) part = value - Register{};
        return result;
    }

    static PATCHTST_HAR_INLINE Lanes at(const float* from) {
        Lanes result;
        for (std::size_t i = 0; i < kParts; ++i) result.part[i] = load<Register>(from + i * kWidth);
        return result;
    }

    // Reads `count` <= 16 values; the other lanes are 0.
    static PATCHTST_HAR_INLINE Lanes first(const float* from, std::size_t count) {
        if (count >= kLanes) return at(from);
#if PATCHTST_HAR_VECTOR_BYTES == 64
        return {{_mm512_maskz_loadu_ps(static_cast<__mmask16>((1U << count) - 1U), from)}};
#else
        float lane[kLanes] = {};
        for (std::size_t i = 0; i < count; ++i) lane[i] = from[i];
        return at(lane);
#endif
    }

    PATCHTST_HAR_INLINE void to(float* target) const {
        for (std::size_t i = 0; i < kParts; ++i) store(target + i * kWidth, part[i]);
    }

    // Writes the first `count` <= 16 lanes.
    PATCHTST_HAR_INLINE void first_to(float* target, std::size_t count) const {
        if (count >= kLanes) {
            to(target);
            return;
        }
#if PATCHTST_HAR_VECTOR_BYTES == 64
        _mm512_mask_storeu_ps(target, static_cast<__mmask16>((1U << count) - 1U), part[0]);
#else
        float lane[kLanes];
        to(lane);
        for (std::size_t i = 0; i < count; ++i) target[i] = lane[i];
#endif
    }
};

template <typename Operation>
PATCHTST_HAR_INLINE Lanes each(const Lanes& a, const Lanes& b, Operation operation) {
    Lanes result;
    for (std::size_t i = 0; i < kParts; ++i) result.part[i] = operation(a.part[i], b.part[i]);
    return result;
}

PATCHTST_HAR_INLINE Lanes operator+(const Lanes& a, const Lanes& b) {
    return each(a, b, [](Register p, Register q) { return p + q; });
}
PATCHTST_HAR_INLINE Lanes operator-(const Lanes& a, const Lanes& b) {
    return each(a, b, [](Register p, Register q) { return p - q; });
}
PATCHTST_HAR_INLINE Lanes operator*(const Lanes& a, const Lanes& b) {
    return each(a, b, [](Register p, Register q) { return p * q; });
}
PATCHTST_HAR_INLINE Lanes operator/(const Lanes& a, const Lanes& b) {
    return each(a, b, [](Register p, Register q) { return p / q; });
}

// The larger; b where a is not a number.
PATCHTST_HAR_INLINE Lanes max(const Lanes& a, const Lanes& b) {
    return each(a, b, [](Register p, Register q) { return p > q ? p : q; });
}

PATCHTST_HAR_INLINE Lanes fused(const Lanes& a, const Lanes& b, const Lanes& c) {
    Lanes result;
    for (std::size_t i = 0; i < kParts; ++i) result.part[i] = fused(a.part[i], b.part[i], c.part[i]);
    return result;
}

PATCHTST_HAR_INLINE Lanes swapped(const Lanes& value) {
    Lanes result;
    for (std::size_t i = 0; i < kParts; ++i) result.part[i] = swapped(value.part[i]);
    return result;
}

}  // namespace
}  // namespace patchtst_har::attention
