#include "statistics/orientation.hpp"

#include <algorithm>
#include <cmath>

#include "statistics/lanes.hpp"

namespace patchtst_har::statistics {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kCutoffHz = 0.5;
// A shorter vector (in g) has no direction.
constexpr double kShortest = 1e-6;
// Resultants below this are rounding noise.
constexpr double kNoResultant = 1e-12;

double inverse_or_zero(double length) {
    return length < kShortest ? 0.0 : 1.0 / length;
}

CircularStatistics circular(double sine, double cosine) {
    const double resultant = std::min(std::sqrt(sine * sine + cosine * cosine), 1.0);
    const double mean = resultant < kNoResultant ? 0.0 : std::atan2(sine, cosine);
    return {mean, std::sqrt(-2.0 * std::log(std::max(resultant, kNoResultant)))};
}

}  // namespace

void split_gravity(const float* acceleration, std::size_t n, double rate_hz, double* gravity,
                   double* dynamic) {
    // In this form of the recursion a constant signal stays exactly constant.
    const double gain = -std::expm1(-2.0 * kPi * kCutoffHz / rate_hz);
    double state = acceleration[0];
    for (std::size_t i = 0; i < n; ++i) {
        state += gain * (acceleration[i] - state);
        gravity[i] = state;
        dynamic[i] = acceleration[i] - state;
    }
}

Orientation orientation_of(const Axes& axes, std::size_t n) {
    LaneSum roll_sine, roll_cosine, pitch_sine, pitch_cosine, yaw_sine, yaw_cosine;
    for_each_lane(n, [&](std::size_t i, std::size_t lane) {
        const double x = axes.x[i];
        const double y = axes.y[i];
        const double z = axes.z[i];
        const double yz = std::sqrt(y * y + z * z);
        const double per_yz = inverse_or_zero(yz);
        const double per_length = inverse_or_zero(std::sqrt(x * x + y * y + z * z));
        const double per_xy = inverse_or_zero(std::sqrt(x * x + y * y));
        roll_sine.lane[lane] += y * per_yz;
        roll_cosine.lane[lane] += z * per_yz;
        pitch_sine.lane[lane] -= x * per_length;
        pitch_cosine.lane[lane] += yz * per_length;
        yaw_sine.lane[lane] += x * per_xy;
        yaw_cosine.lane[lane] += y * per_xy;
    });
    const auto count = static_cast<double>(n);
    return {circular(roll_sine.total() / count, roll_cosine.total() / count),
            circular(pitch_sine.total() / count, pitch_cosine.total() / count),
            circular(yaw_sine.total() / count, yaw_cosine.total() / count)};
}

}  // namespace patchtst_har::statistics
