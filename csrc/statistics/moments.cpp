#include "statistics/moments.hpp"

#include <algorithm>
#include <cmath>

#include "statistics/lanes.hpp"

namespace patchtst_har::statistics {
namespace {

template <typename Value>
Extremes lane_extremes(const Value* values, std::size_t n) {
    Value low[kLanes];
    Value high[kLanes];
    std::fill(low, low + kLanes, values[0]);
    std::fill(high, high + kLanes, values[0]);
    for_each_lane(n, [&](std::size_t i, std::size_t lane) {
        low[lane] = values[i] < low[lane] ? values[i] : low[lane];
        high[lane] = values[i] > high[lane] ? values[i] : high[lane];
    });
    return {*std::min_element(low, low + kLanes), *std::max_element(high, high + kLanes)};
}

}  // namespace

double mean_of(const float* values, std::size_t n) {
    LaneSum sum;
    for_each_lane(n, [&](std::size_t i, std::size_t lane) { sum.lane[lane] += values[i]; });
    return sum.total() / static_cast<double>(n);
}

Spread spread_of(const float* values, std::size_t n) {
    const double mean = mean_of(values, n);
    LaneSum squares;
    for_each_lane(n, [&](std::size_t i, std::size_t lane) {
        const double deviation = values[i] - mean;
        squares.lane[lane] += deviation * deviation;
    });
    return {mean, std::sqrt(squares.total() / static_cast<double>(n))};
}

Shape shape_of(const float* values, std::size_t n, const Spread& spread) {
    if (spread.std < kConstantStd) return {0.0, 0.0};
    LaneSum cubes;
    LaneSum fourths;
    const double scale = 1.0 / spread.std;
    for_each_lane(n, [&](std::size_t i, std::size_t lane) {
        const double score = (values[i] - spread.mean) * scale;
        const double square = score * score;
        cubes.lane[lane] += square * score;
        fourths.lane[lane] += square * square;
    });
    const auto count = static_cast<double>(n);
    return {cubes.total() / count, fourths.total() / count - 3.0};
}

Extremes extremes_of(const float* values, std::size_t n) {
    return lane_extremes(values, n);
}

Extremes extremes_of(const double* values, std::size_t n) {
    return lane_extremes(values, n);
}

double correlation_of(const float* a, const Spread& spread_a, const float* b, const Spread& spread_b,
                      std::size_t n) {
    if (spread_a.std < kConstantStd || spread_b.std < kConstantStd) return 0.0;
    LaneSum products;
    for_each_lane(n, [&](std::size_t i, std::size_t lane) {
        products.lane[lane] += (a[i] - spread_a.mean) * (b[i] - spread_b.mean);
    });
    return products.total() / static_cast<double>(n) / (spread_a.std * spread_b.std);
}

double autocorrelation_1s(const float* values, std::size_t n, double rate_hz) {
    const auto longest = static_cast<double>(n - 1);
    const auto lag = static_cast<std::size_t>(std::min(std::nearbyint(rate_hz), longest));
    const std::size_t n_pairs = n - lag;
    if (n_pairs < 2) return 0.0;
    const float* later = values + lag;
    return correlation_of(values, spread_of(values, n_pairs), later, spread_of(later, n_pairs), n_pairs);
}

double mean_above_one(const float* values, std::size_t n) {
    LaneSum sum;
    for_each_lane(n, [&](std::size_t i, std::size_t lane) {
        const double excess = static_cast<double>(values[i]) - 1.0;
        sum.lane[lane] += excess > 0.0 ? excess : 0.0;
    });
    return sum.total() / static_cast<double>(n);
}

}  // namespace patchtst_har::statistics
