// Exponentials, logarithms and roots of vectors.
#pragma once

#include "simd/block.hpp"

namespace patchtst_har::simd {
namespace {

constexpr float kLog2E = 1.44269504F;
constexpr float kLn2 = 0.693147181F;
// Adding it to a float32 leaves the nearest whole number in the last bits.
constexpr float kRounder = 0x1.8p23F;

// Unsigned, so that what overflows in lanes that are not used is defined.
using Unsigned = Register<std::uint32_t>;

// NaN stays NaN.
PATCHTST_HAR_INLINE Floats limited(const Floats& value, float low, float high) {
    return smaller(filled<Floats>(high), larger(filled<Floats>(low), value));
}

// (... (first x + second) x + ...) x + last
template <typename AnyVector, typename Value, typename... Values>
PATCHTST_HAR_INLINE AnyVector polynomial(const AnyVector& x, Value first, Values... others) {
    auto sum = filled<AnyVector>(first);
    ((sum = fused(sum, x, filled<AnyVector>(others))), ...);
    return sum;
}

// exp(x) within 2 units in the last place; results below 1.2e-38 are given as about that, those above 1.6e38
// as about that. 2^n exp(r), |r| <= ln(2) / 2, the latter by its Taylor polynomial of degree 7.
PATCHTST_HAR_INLINE Floats exponential(Floats x) {
    constexpr float kLn2High = 0.693145752F;  // 17 bits: its product with n is exact
    constexpr float kLn2Low = 1.42860677e-6F;
    x = limited(x, -87.3F, 88.0F);
    const Floats shifted = fused(x, filled<Floats>(kLog2E), filled<Floats>(kRounder));
    const Floats n = shifted - kRounder;
    const Floats r = fused(n, filled<Floats>(-kLn2Low), fused(n, filled<Floats>(-kLn2High), x));
    const Floats series =
        polynomial(r, 1.0F / 5040, 1.0F / 720, 1.0F / 120, 1.0F / 24, 1.0F / 6, 0.5F, 1.0F, 1.0F);
    const Unsigned power = (bits_as<Unsigned>(shifted) << 23U) + 0x3F800000U;
    return series * bits_as<Floats>(power);
}

// 2^x for x <= 127 within 2 units in the last place; 0 below -126, where float32 has no normal numbers. Not a
// number stays not a number.
PATCHTST_HAR_INLINE Floats power_of_two(const Floats& x) {
    const Floats shifted = x + kRounder;
    const Floats f = x - (shifted - kRounder);
    // Least relative error over [-1/2, 1/2].
    const Floats series = polynomial(f, 1.5337577e-4F, 1.33998599e-3F, 9.61851981e-3F, 5.55032901e-2F,
                                     2.40226462e-1F, 6.93147182e-1F, 1.0F);
    const Unsigned bits = bits_as<Unsigned>(series) + (bits_as<Unsigned>(shifted) << 23U);
    const Floats result = x < -126.0F ? Floats{} : bits_as<Floats>(bits);
    return x == x ? result : x;
}

// erf(x / sqrt(2)) within 5e-7: a quotient of polynomials in x^2, fitted to the least largest relative error
// where it is not yet 1 (2e-8 without rounding).
PATCHTST_HAR_INLINE Floats error_function(Floats x) {
    x = limited(x, -5.58F, 5.58F);
    const Floats t = x * x;
    const Floats p = polynomial(t, 4.476975945522099e-08F, 1.258091924682958e-05F, 0.0003365355369169265F,
                                0.009346761740744114F, 0.06771743297576904F, 0.7978845238685608F);
    const Floats q = polynomial(t, 1.1822668284366955e-06F, 7.316004484891891e-05F, 0.0018817101372405887F,
                                0.0286382045596838F, 0.251537561416626F, 1.0F);
    return limited(x * p / q, -1.0F, 1.0F);
}

// What a logarithm needs to know of a type: its bits, and 2^(width of the mantissa) with them.
template <typename Value>
struct Binary;
template <>
struct Binary<float> {
    using Bits = Register<std::uint32_t>;
    static constexpr std::uint32_t kOne = 0x3F800000, kHalfRoot = 0x3F3504F3, kMantissa = 0x007FFFFF;
    static constexpr std::uint32_t kWholeBits = 0x4B000000;
    static constexpr float kWhole = 0x1p23F + 127.0F;
    static constexpr unsigned kMantissaBits = 23;
};
template <>
struct Binary<double> {
    using Bits = Register<std::uint64_t>;
    static constexpr std::uint64_t kOne = 0x3FF0000000000000, kHalfRoot = 0x3FE6A09E667F3BCD;
    static constexpr std::uint64_t kMantissa = 0x000FFFFFFFFFFFFF, kWholeBits = 0x4330000000000000;
    static constexpr double kWhole = 0x1p52 + 1023.0;
    static constexpr unsigned kMantissaBits = 52;
};

// x = 2^exponent m with m in [0.7, 1.42), for normal positive x; s = (m - 1) / (m + 1), so that
// ln x = exponent ln 2 + 2 artanh(s).
template <typename Value>
struct Logarithmic {
    Register<Value> exponent, s;

    explicit PATCHTST_HAR_INLINE Logarithmic(const Register<Value>& x) {
        using Number = Binary<Value>;
        using Bits = typename Number::Bits;
        const Bits raised = bits_as<Bits>(x) + (Number::kOne - Number::kHalfRoot);
        const Bits mantissa_bits = (raised & Number::kMantissa) + Number::kHalfRoot;
        const auto mantissa = bits_as<Register<Value>>(mantissa_bits);
        // The exponent, placed in the last bits of 2^kMantissaBits, turns into a number by one subtraction.
        const Bits exponent_bits = (raised >> Number::kMantissaBits) | Number::kWholeBits;
        exponent = bits_as<Register<Value>>(exponent_bits) - Number::kWhole;
        s = (mantissa - Value{1}) / (mantissa + Value{1});
    }
};

// log2(x) for normal positive x, within two units in the last place. Not a number stays not a number.
PATCHTST_HAR_INLINE Floats log2(const Floats& x) {
    const Logarithmic<float> parts(x);
    const Floats z = parts.s * parts.s;
    const Floats series = (((z * (1.0F / 9) + 1.0F / 7) * z + 1.0F / 5) * z + 1.0F / 3) * z + 1.0F;
    const Floats result = parts.exponent + (2.0F * kLog2E) * parts.s * series;
    return x == x ? result : x;
}

// ln(x) for normal positive x, within 2 units in the last place (relative to ln 2 near 1); finite for 0.
PATCHTST_HAR_INLINE Register<double> logarithm(const Register<double>& x) {
    const Logarithmic<double> parts(x);
    const Register<double> s = parts.s;
    const Register<double> z = s * s;
    const Register<double> series =
        polynomial(z, 1.0 / 19, 1.0 / 17, 1.0 / 15, 1.0 / 13, 1.0 / 11, 1.0 / 9, 1.0 / 7, 1.0 / 5, 1.0 / 3);
    return parts.exponent * 0.69314718055994530942 + (2.0 * s + 2.0 * s * z * series);
}

// Inverse roots of values from 1e-36 to 1e36 within 4e-7; those of smaller ones are smaller than they should
// be. Two float32 roots share a quotient, all exactly rounded on every machine.
template <std::size_t n>
PATCHTST_HAR_INLINE void inverse_roots(const Block<double, n>& a, const Block<double, n>& b,
                                       Block<double, n>& per_a, Block<double, n>& per_b) {
    constexpr float kSmallest = 1e-18F;
    for (std::size_t i = 0; i < a.kParts; ++i) {
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
template <std::size_t n>
PATCHTST_HAR_INLINE Block<double, n> refined(const Block<double, n>& value,
                                             const Block<double, n>& inverse_root) {
    return each([](const auto& v, const auto& r) { return r * (1.5 - (0.5 * v) * (r * r)); }, value,
                inverse_root);
}

}  // namespace
}  // namespace patchtst_har::simd
