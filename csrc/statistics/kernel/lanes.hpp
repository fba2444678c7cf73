// Vectors of a fixed number of lanes, made of as many registers as the unit's instruction set needs: the same
// bits whatever the width of the machine. PATCHTST_HAR_VECTOR_BYTES is the width of a register.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#define PATCHTST_HAR_INLINE inline __attribute__((always_inline))
// A stage keeps its name in a profile.
#define PATCHTST_HAR_STAGE __attribute__((noinline))

namespace patchtst_har::statistics {
namespace {

constexpr std::size_t kLanes = 8;
constexpr std::size_t kWidth = PATCHTST_HAR_VECTOR_BYTES / sizeof(double);
constexpr std::size_t kParts = kLanes / kWidth;

// `width` numbers of a register or a part of it.
template <std::size_t width>
struct VectorOf;
template <>
struct VectorOf<1> {
    using Double = double;
};
template <>
struct VectorOf<2> {
    using Double = double __attribute__((vector_size(16)));
    using Float = float __attribute__((vector_size(8)));
    using Bits = std::uint64_t __attribute__((vector_size(16)));
};
template <>
struct VectorOf<4> {
    using Double = double __attribute__((vector_size(32)));
    using Float = float __attribute__((vector_size(16)));
    using Bits = std::uint64_t __attribute__((vector_size(32)));
};
template <>
struct VectorOf<8> {
    using Double = double __attribute__((vector_size(64)));
    using Float = float __attribute__((vector_size(32)));
    using Bits = std::uint64_t __attribute__((vector_size(64)));
};

using Register = VectorOf<kWidth>::Double;
using Singles = VectorOf<kWidth>::Float;
using Bits = VectorOf<kWidth>::Bits;

template <typename Vector, typename Value>
PATCHTST_HAR_INLINE Vector load(const Value* from) {
    Vector result;
    __builtin_memcpy(&result, from, sizeof result);
    return result;
}

template <typename Vector, typename Value>
PATCHTST_HAR_INLINE void store(Value* to, const Vector& value) {
    __builtin_memcpy(to, &value, sizeof value);
}

// The compiler takes four instructions where a 512-bit conversion has one; it warns about the unmasked one.
PATCHTST_HAR_INLINE Register widened(Singles value) {
#if PATCHTST_HAR_VECTOR_BYTES == 64
    return _mm512_maskz_cvtps_pd(0xFF, value);
#else
    return __builtin_convertvector(value, Register);
#endif
}

PATCHTST_HAR_INLINE Singles narrowed(Register value) {
#if PATCHTST_HAR_VECTOR_BYTES == 64
    return _mm512_maskz_cvtpd_ps(0xFF, value);
#else
    return __builtin_convertvector(value, Singles);
#endif
}

PATCHTST_HAR_INLINE Singles square_root(Singles value) {
#if PATCHTST_HAR_VECTOR_BYTES == 64
    return _mm256_sqrt_ps(value);
#elif PATCHTST_HAR_VECTOR_BYTES == 32
    return _mm_sqrt_ps(value);
#elif defined(__SSE2__)
    const __m128 whole = {value[0], value[1], 1.0F, 1.0F};
    const __m128 root = _mm_sqrt_ps(whole);
    return Singles{root[0], root[1]};
#else
    return Singles{__builtin_sqrtf(value[0]), __builtin_sqrtf(value[1])};
#endif
}

// Eight float64 lanes.
struct Doubles {
    Register part[kParts];

    static PATCHTST_HAR_INLINE Doubles all(double value) {
        Doubles result;
        for (auto& part : result.part) part = value - Register{};
        return result;
    }

    static PATCHTST_HAR_INLINE Doubles at(const double* from) {
        Doubles result;
        for (std::size_t i = 0; i < kParts; ++i) result.part[i] = load<Register>(from + i * kWidth);
        return result;
    }

    static PATCHTST_HAR_INLINE Doubles at(const float* from) {
        Doubles result;
        for (std::size_t i = 0; i < kParts; ++i) {
            result.part[i] = widened(load<Singles>(from + i * kWidth));
        }
        return result;
    }

    PATCHTST_HAR_INLINE void to(double* target) const {
        for (std::size_t i = 0; i < kParts; ++i) store(target + i * kWidth, part[i]);
    }

    // Adds the lanes pairwise, in an order of its own.
    [[nodiscard]] PATCHTST_HAR_INLINE double total() const {
        double lane[kLanes];
        to(lane);
        return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
    }

    [[nodiscard]] PATCHTST_HAR_INLINE double largest() const {
        double lane[kLanes];
        to(lane);
        double result = lane[0];
        for (const double value : lane) result = value > result ? value : result;
        return result;
    }
};

// Eight float32 values, `step` apart, as float64 lanes.
PATCHTST_HAR_INLINE Doubles spread_lanes(const float* values, std::size_t step) {
    Doubles result;
    for (std::size_t i = 0; i < kParts; ++i) {
        const float* from = values + i * kWidth * step;
#if PATCHTST_HAR_VECTOR_BYTES == 64
        const Singles lanes = {from[0],        from[step],     from[2 * step], from[3 * step],
                               from[4 * step], from[5 * step], from[6 * step], from[7 * step]};
#elif PATCHTST_HAR_VECTOR_BYTES == 32
        const Singles lanes = {from[0], from[step], from[2 * step], from[3 * step]};
#else
        const Singles lanes = {from[0], from[step]};
#endif
        result.part[i] = widened(lanes);
    }
    return result;
}

template <typename Operation>
PATCHTST_HAR_INLINE Doubles each(const Doubles& a, const Doubles& b, Operation operation) {
    Doubles result;
    for (std::size_t i = 0; i < kParts; ++i) result.part[i] = operation(a.part[i], b.part[i]);
    return result;
}

PATCHTST_HAR_INLINE Doubles operator+(const Doubles& a, const Doubles& b) {
    return each(a, b, [](Register p, Register q) { return p + q; });
}
PATCHTST_HAR_INLINE Doubles operator-(const Doubles& a, const Doubles& b) {
    return each(a, b, [](Register p, Register q) { return p - q; });
}
PATCHTST_HAR_INLINE Doubles operator*(const Doubles& a, const Doubles& b) {
    return each(a, b, [](Register p, Register q) { return p * q; });
}
PATCHTST_HAR_INLINE Doubles operator/(const Doubles& a, const Doubles& b) {
    return each(a, b, [](Register p, Register q) { return p / q; });
}
PATCHTST_HAR_INLINE Doubles max(const Doubles& a, const Doubles& b) {
    return each(a, b, [](Register p, Register q) { return p > q ? p : q; });
}
PATCHTST_HAR_INLINE void operator+=(Doubles& a, const Doubles& b) {
    a = a + b;
}

// value where length2 >= limit, otherwise 0.
PATCHTST_HAR_INLINE Doubles zero_if_below(const Doubles& length2, double limit, const Doubles& value) {
    return each(length2, value, [limit](Register l, Register v) { return l >= limit ? v : Register{}; });
}

// Inverse roots of values from 1e-36 to 1e36 within 4e-7; those of smaller ones are smaller than they should
// be. Two float32 roots share a quotient, all exactly rounded on every machine.
PATCHTST_HAR_INLINE void inverse_roots(const Doubles& a, const Doubles& b, Doubles& per_a, Doubles& per_b) {
    constexpr float kSmallest = 1e-18F;
    for (std::size_t i = 0; i < kParts; ++i) {
        const Singles root_a = square_root(narrowed(a.part[i]));
        const Singles root_b = square_root(narrowed(b.part[i]));
        const Singles safe_a = root_a > kSmallest ? root_a : kSmallest - Singles{};
        const Singles safe_b = root_b > kSmallest ? root_b : kSmallest - Singles{};
        const Singles quotient = 1.0F / (safe_a * safe_b);
        per_a.part[i] = widened(quotient * safe_b);
        per_b.part[i] = widened(quotient * safe_a);
    }
}

// An inverse root after a step of Newton's iteration: within 1e-12.
PATCHTST_HAR_INLINE Doubles refined(const Doubles& value, const Doubles& inverse_root) {
    Doubles result;
    for (std::size_t i = 0; i < kParts; ++i) {
        const Register r = inverse_root.part[i];
        result.part[i] = r * (1.5 - (0.5 * value.part[i]) * (r * r));
    }
    return result;
}

// Natural logarithm of normal positive numbers within 2 units in the last place (relative to ln 2 near 1);
// finite for 0. ln(2^e m) = e ln 2 + 2 artanh((m - 1) / (m + 1)) with m in [0.7, 1.42).
PATCHTST_HAR_INLINE Register logarithm(Register value) {
    constexpr double kLn2 = 0.69314718055994530942;
    constexpr std::uint64_t kOne = 0x3FF0000000000000;
    constexpr std::uint64_t kHalfRoot = 0x3FE6A09E667F3BCD;  // sqrt(1/2)
    constexpr std::uint64_t kMantissa = 0x000FFFFFFFFFFFFF;
    const Bits raised = load<Bits>(&value) + (kOne - kHalfRoot);
    const Bits mantissa_bits = (raised & kMantissa) + kHalfRoot;
    const auto mantissa = load<Register>(&mantissa_bits);
    // The exponent, placed in the last bits of 2^52, turns into a number by one subtraction.
    const Bits exponent_bits = (raised >> 52) | 0x4330000000000000;
    const Register exponent = load<Register>(&exponent_bits) - (0x1p52 + 1023.0);
    const Register s = (mantissa - 1.0) / (mantissa + 1.0);
    const Register z = s * s;
    Register series = z * (1.0 / 19) + 1.0 / 17;
    series = series * z + 1.0 / 15;
    series = series * z + 1.0 / 13;
    series = series * z + 1.0 / 11;
    series = series * z + 1.0 / 9;
    series = series * z + 1.0 / 7;
    series = series * z + 1.0 / 5;
    series = series * z + 1.0 / 3;
    return exponent * kLn2 + (2.0 * s + 2.0 * s * z * series);
}

PATCHTST_HAR_INLINE Doubles logarithm(const Doubles& value) {
    Doubles result;
    for (std::size_t i = 0; i < kParts; ++i) result.part[i] = logarithm(value.part[i]);
    return result;
}

// Reads eight consecutive values.
struct WholeBlock {
    std::size_t start;

    template <typename Value>
    PATCHTST_HAR_INLINE Doubles operator()(const Value* values, double /*fill*/) const {
        return Doubles::at(values + start);
    }
};

// Reads the last `count` < 8 values; the lanes that are left are `fill`.
struct LastBlock {
    std::size_t start, count;

    template <typename Value>
    PATCHTST_HAR_INLINE Doubles operator()(const Value* values, double fill) const {
        double lane[kLanes];
        for (std::size_t i = 0; i < kLanes; ++i) {
            lane[i] = i < count ? static_cast<double>(values[start + i]) : fill;
        }
        return Doubles::at(lane);
    }
};

// Calls body(block) for 0..n in blocks of eight; block(values, fill) reads them.
template <typename Body>
PATCHTST_HAR_INLINE void for_each_block(std::size_t n, Body body) {
    const std::size_t whole = n - n % kLanes;
    for (std::size_t start = 0; start < whole; start += kLanes) body(WholeBlock{start});
    if (whole < n) body(LastBlock{whole, n - whole});
}

}  // namespace
}  // namespace patchtst_har::statistics
