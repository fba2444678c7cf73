// Exponential and error function of vectors.
#pragma once

#include "model/kernel/vector.hpp"

namespace patchtst_har::model {
namespace {

// exp(x) within 2 units in the last place; results below 1.2e-38 are given as about that, those above 1.6e38
// as about that. 2^n exp(r), |r| <= ln(2) / 2, the latter by its Taylor polynomial of degree 7.
PATCHTST_HAR_INLINE Vector exponential(Vector x) {
    constexpr float kLog2E = 1.44269504F;
    constexpr float kLn2High = 0.693145752F;  // 17 bits: its product with n is exact
    constexpr float kLn2Low = 1.42860677e-6F;
    constexpr float kRounder = 0x1.8p23F;  // a sum with it has the nearest integer in its last bits
    x = limited(x, -87.3F, 88.0F);
    const Vector shifted = fused(x, all(kLog2E), all(kRounder));
    const Vector n = shifted - kRounder;
    const Vector r = fused(n, all(-kLn2Low), fused(n, all(-kLn2High), x));
    Vector series = fused(all(1.0F / 5040), r, all(1.0F / 720));
    series = fused(series, r, all(1.0F / 120));
    series = fused(series, r, all(1.0F / 24));
    series = fused(series, r, all(1.0F / 6));
    series = fused(series, r, all(0.5F));
    series = fused(series, r, all(1.0F));
    series = fused(series, r, all(1.0F));
    Integers bits;
    __builtin_memcpy(&bits, &shifted, sizeof bits);
    bits = (bits << 23) + 0x3F800000;
    Vector power;
    __builtin_memcpy(&power, &bits, sizeof power);
    return series * power;
}

// erf(x / sqrt(2)) within 5e-7: a quotient of polynomials in x^2, fitted to the least largest relative error
// where it is not yet 1 (2e-8 without rounding).
PATCHTST_HAR_INLINE Vector error_function(Vector x) {
    x = limited(x, -5.58F, 5.58F);
    const Vector t = x * x;
    Vector p = fused(t, all(4.476975945522099e-08F), all(1.258091924682958e-05F));
    p = fused(p, t, all(0.0003365355369169265F));
    p = fused(p, t, all(0.009346761740744114F));
    p = fused(p, t, all(0.06771743297576904F));
    p = fused(p, t, all(0.7978845238685608F));
    Vector q = fused(t, all(1.1822668284366955e-06F), all(7.316004484891891e-05F));
    q = fused(q, t, all(0.0018817101372405887F));
    q = fused(q, t, all(0.0286382045596838F));
    q = fused(q, t, all(0.251537561416626F));
    q = fused(q, t, all(1.0F));
    return limited(x * p / q, -1.0F, 1.0F);
}

PATCHTST_HAR_INLINE Vector gelu(Vector x) {
    const Vector half = 0.5F * x;
    return fused(half, error_function(x), half);
}

PATCHTST_HAR_INLINE Vector relu(Vector x) {
    return x < 0.0F ? Vector{} : x;
}

}  // namespace
}  // namespace patchtst_har::model
