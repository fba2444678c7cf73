// Population moments and correlations in float64, about the means of the first pass.
#pragma once

#include "statistics/kernel/load.hpp"

namespace patchtst_har::statistics {
namespace {

// Below this standard deviation a signal counts as constant.
constexpr double kConstantStd = 1e-8;

struct MagnitudeMoments {
    double std, skew, kurtosis, mean_above_one;
};

struct AxisMoments {
    double variance[3], std[3];
    double covariance[3], correlation[3];  // of xy, xz, yz
};

struct Shape {
    double std, skew, kurtosis;
};

PATCHTST_HAR_INLINE double correlation(double covariance, double std_a, double std_b) {
    if (std_a < kConstantStd || std_b < kConstantStd) return 0.0;
    return covariance / (std_a * std_b);
}

// Of central moments.
PATCHTST_HAR_INLINE Shape shape_of(double variance, double third, double fourth) {
    const double std = __builtin_sqrt(variance);
    if (std < kConstantStd) return {std, 0.0, 0.0};
    return {std, third / (variance * std), fourth / (variance * variance) - 3.0};
}

PATCHTST_HAR_STAGE AxisMoments axis_moments(const Plan& plan, const Summary* summaries) {
    Doubles squares[3] = {};
    Doubles products[3] = {};
    const double means[3] = {summaries[0].mean, summaries[1].mean, summaries[2].mean};
    for_each_block(plan.n, [&](auto block) {
        const Doubles x = block(plan.channels[0], means[0]) - Doubles::all(means[0]);
        const Doubles y = block(plan.channels[1], means[1]) - Doubles::all(means[1]);
        const Doubles z = block(plan.channels[2], means[2]) - Doubles::all(means[2]);
        squares[0] += x * x;
        squares[1] += y * y;
        squares[2] += z * z;
        products[0] += x * y;
        products[1] += x * z;
        products[2] += y * z;
    });
    const auto count = static_cast<double>(plan.n);
    AxisMoments result{};
    for (std::size_t i = 0; i < 3; ++i) {
        result.variance[i] = sum_of(squares[i]) / count;
        result.std[i] = __builtin_sqrt(result.variance[i]);
        result.covariance[i] = sum_of(products[i]) / count;
    }
    const double* std = result.std;
    result.correlation[0] = correlation(result.covariance[0], std[0], std[1]);
    result.correlation[1] = correlation(result.covariance[1], std[0], std[2]);
    result.correlation[2] = correlation(result.covariance[2], std[1], std[2]);
    return result;
}

// Also writes m - mean to plan.centred, 0 in its padding.
PATCHTST_HAR_STAGE MagnitudeMoments magnitude_moments(const Plan& plan, double mean) {
    Doubles squares{};
    Doubles cubes{};
    Doubles fourths{};
    Doubles above{};
    const Doubles centre = Doubles::all(mean);
    double* target = plan.centred;
    for_each_block(plan.n, [&](auto block) {
        const Doubles deviation = block(plan.channels[3], mean) - centre;
        deviation.to(target + block.start);
        const Doubles square = deviation * deviation;
        squares += square;
        cubes += square * deviation;
        fourths += square * square;
        above += each(Larger{}, block(plan.channels[3], 0.0) - Doubles::all(1.0), Doubles{});
    });
    const auto count = static_cast<double>(plan.n);
    const Shape shape = shape_of(sum_of(squares) / count, sum_of(cubes) / count, sum_of(fourths) / count);
    return {shape.std, shape.skew, shape.kurtosis, sum_of(above) / count};
}

// Pearson correlation of the centred magnitude with itself one second later; 0 for fewer than two pairs.
PATCHTST_HAR_STAGE double autocorrelation(const Plan& plan) {
    const std::size_t n_pairs = plan.n - plan.lag;
    if (n_pairs < 2) return 0.0;
    const auto count = static_cast<double>(n_pairs);
    const double* early = plan.centred;
    const double* late = plan.centred + plan.lag;
    Doubles early_sum{};
    Doubles late_sum{};
    for_each_block(n_pairs, [&](auto block) {
        early_sum += block(early, 0.0);
        late_sum += block(late, 0.0);
    });
    const double early_mean = sum_of(early_sum) / count;
    const double late_mean = sum_of(late_sum) / count;
    Doubles early_squares{};
    Doubles late_squares{};
    Doubles products{};
    for_each_block(n_pairs, [&](auto block) {
        const Doubles a = block(early, early_mean) - Doubles::all(early_mean);
        const Doubles b = block(late, late_mean) - Doubles::all(late_mean);
        early_squares += a * a;
        late_squares += b * b;
        products += a * b;
    });
    return correlation(sum_of(products) / count, __builtin_sqrt(sum_of(early_squares) / count),
                       __builtin_sqrt(sum_of(late_squares) / count));
}

}  // namespace
}  // namespace patchtst_har::statistics
