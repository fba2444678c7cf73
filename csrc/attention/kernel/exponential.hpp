// Powers and logarithms to base 2, within two units in the last place. Not a number stays not a number.
#pragma once

#include "attention/kernel/lanes.hpp"

namespace patchtst_har::attention {
namespace {

constexpr float kLog2E = 1.44269504F;
constexpr float kLn2 = 0.693147181F;

// 2^x for x <= 127; 0 below -126, where float32 has no normal numbers.
PATCHTST_HAR_INLINE Register power_of_two(Register x) {
    // Adding 1.5 * 2^23 leaves the nearest whole number in the last bits.
    constexpr float kShift = 12582912.0F;
    const Register shifted = x + kShift;
    const Register f = x - (shifted - kShift);
    // Least relative error over [-1/2, 1/2].
    const Register one = 1.0F - Register{};
    Register series = 1.5337577e-4F - Register{};
    series = fused(series, f, one * 1.33998599e-3F);
    series = fused(series, f, one * 9.61851981e-3F);
    series = fused(series, f, one * 5.55032901e-2F);
    series = fused(series, f, one * 2.40226462e-1F);
    series = fused(series, f, one * 6.93147182e-1F);
    series = fused(series, f, one);
    const Integers bits = load<Integers>(&series) + (load<Integers>(&shifted) << 23);
    const auto power = load<Register>(&bits);
    const Register result = x < -126.0F ? Register{} : power;
    return x == x ? result : x;
}

PATCHTST_HAR_INLINE Lanes power_of_two(const Lanes& x) {
    Lanes result;
    for (std::size_t i = 0; i < kParts; ++i) result.part[i] = power_of_two(x.part[i]);
    return result;
}

// log2(x) for normal positive x. log2(2^e m) = e + 2 log2(e) artanh((m - 1) / (m + 1)) with m in [0.7, 1.42).
PATCHTST_HAR_INLINE Register logarithm(Register x) {
    constexpr std::int32_t kOne = 0x3F800000;
    constexpr std::int32_t kHalfRoot = 0x3F3504F3;  // sqrt(1/2)
    constexpr std::int32_t kMantissa = 0x007FFFFF;
    const Integers raised = load<Integers>(&x) + (kOne - kHalfRoot);
    const Integers mantissa_bits = (raised & kMantissa) + kHalfRoot;
    const auto mantissa = load<Register>(&mantissa_bits);
    const Register exponent = __builtin_convertvector((raised >> 23) - 127, Register);
    const Register s = (mantissa - 1.0F) / (mantissa + 1.0F);
    const Register z = s * s;
    const Register series = (((z * (1.0F / 9) + 1.0F / 7) * z + 1.0F / 5) * z + 1.0F / 3) * z + 1.0F;
    const Register result = exponent + (2.0F * kLog2E) * s * series;
    return x == x ? result : x;
}

PATCHTST_HAR_INLINE Lanes logarithm(const Lanes& x) {
    Lanes result;
    for (std::size_t i = 0; i < kParts; ++i) result.part[i] = logarithm(x.part[i]);
    return result;
}

}  // namespace
}  // namespace patchtst_har::attention
