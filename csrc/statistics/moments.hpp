// Population moments and correlations, in float64 and two passes.
#pragma once

#include <cstddef>

namespace patchtst_har::statistics {

// Below this standard deviation a signal counts as constant.
inline constexpr double kConstantStd = 1e-8;

struct Spread {
    double mean, std;
};

struct Shape {
    double skew, kurtosis;  // kurtosis in excess of the normal distribution's; both 0 for a constant signal
};

struct Extremes {
    double min, max;
};

double mean_of(const float* values, std::size_t n);
Spread spread_of(const float* values, std::size_t n);
Shape shape_of(const float* values, std::size_t n, const Spread& spread);
Extremes extremes_of(const float* values, std::size_t n);
Extremes extremes_of(const double* values, std::size_t n);

// Pearson correlation of a[0..n) and b[0..n), given their spreads; 0 if either is constant.
double correlation_of(const float* a, const Spread& spread_a, const float* b, const Spread& spread_b,
                      std::size_t n);

// Pearson correlation of values[0..n-lag) and values[lag..n), lag = min(round(rate_hz), n - 1): the
// autocorrelation after one second; 0 if fewer than two pairs are left.
double autocorrelation_1s(const float* values, std::size_t n, double rate_hz);

// Mean of max(values - 1, 0).
double mean_above_one(const float* values, std::size_t n);

}  // namespace patchtst_har::statistics
