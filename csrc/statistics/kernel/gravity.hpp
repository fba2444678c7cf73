// Movement along and across the direction of gravity, and the principal variances of the axes.
#pragma once

#include "statistics/kernel/moments.hpp"
#include "statistics/kernel/selection.hpp"

namespace patchtst_har::statistics {
namespace {

// The mean acceleration and its direction: 0 if it is shorter than 1e-6 g.
struct Gravity {
    double mean[3], up[3];
};

constexpr double kNoGravity = 1e-6;
// A direction that lies so close to an axis has no angle about it.
constexpr double kNoAngle = 1e-6;

Gravity gravity_of(const Summary* summaries) {
    Gravity result{{summaries[0].mean, summaries[1].mean, summaries[2].mean}, {}};
    const double* mean = result.mean;
    const double length = __builtin_sqrt(mean[0] * mean[0] + mean[1] * mean[1] + mean[2] * mean[2]);
    if (length < kNoGravity) return result;
    for (std::size_t axis = 0; axis < 3; ++axis) result.up[axis] = mean[axis] / length;
    return result;
}

double angle_of(double sine, double cosine) {
    if (sine * sine + cosine * cosine < kNoAngle * kNoAngle) return 0.0;
    return __builtin_atan2(sine, cosine);
}

// The part of the acceleration without its mean that points up, and the length of the rest.
PATCHTST_HAR_STAGE void split_by_gravity(const Plan& plan, const Gravity& gravity, float* vertical,
                                         float* horizontal) {
    Doubles mean[3];
    Doubles up[3];
    for (std::size_t axis = 0; axis < 3; ++axis) {
        mean[axis] = Doubles::all(gravity.mean[axis]);
        up[axis] = Doubles::all(gravity.up[axis]);
    }
    for (std::size_t start = 0; start < plan.n; start += kLanes) {
        const Doubles x = Doubles::at(plan.channels[0] + start) - mean[0];
        const Doubles y = Doubles::at(plan.channels[1] + start) - mean[1];
        const Doubles z = Doubles::at(plan.channels[2] + start) - mean[2];
        const Doubles along = x * up[0] + y * up[1] + z * up[2];
        const Doubles rest_x = x - along * up[0];
        const Doubles rest_y = y - along * up[1];
        const Doubles rest_z = z - along * up[2];
        const Doubles rest2 = rest_x * rest_x + rest_y * rest_y + rest_z * rest_z;
        for (std::size_t i = 0; i < Doubles::kParts; ++i) {
            const std::size_t at = start + i * Doubles::kPartLanes;
            store(vertical + at, narrowed(along.part[i]));
            store(horizontal + at, narrowed_root(rest2.part[i]));
        }
    }
}

Summary summary_of(const float* values, std::size_t n) {
    Tally tally(values);
    const std::size_t whole = n - n % kFloats;
    for (std::size_t start = 0; start < whole; start += kFloats) tally.see(values + start);
    return tally.finish(values, whole, n);
}

// Writes the eleven features of the movement in one direction.
PATCHTST_HAR_STAGE double* write_direction(const Plan& plan, const float* values, double* target) {
    constexpr double kFractions[] = {0.05, 0.25, 0.5, 0.75, 0.95};
    const Summary summary = summary_of(values, plan.n);
    Doubles squares{};
    Doubles cubes{};
    Doubles fourths{};
    Doubles sizes{};
    for_each_block(plan.n, [&](auto block) {
        const Doubles deviation = block(values, summary.mean) - Doubles::all(summary.mean);
        const Doubles square = deviation * deviation;
        squares += square;
        cubes += square * deviation;
        fourths += square * square;
        const Doubles value = block(values, 0.0);
        sizes += each(Larger{}, value, Doubles{} - value);
    });
    const auto count = static_cast<double>(plan.n);
    const Shape shape = shape_of(sum_of(squares) / count, sum_of(cubes) / count, sum_of(fourths) / count);
    const Quantiles<5> quantiles(plan, values, plan.n, summary.min, summary.max, kFractions);
    *target++ = shape.std;
    *target++ = sum_of(sizes) / count;
    *target++ = summary.min;
    *target++ = summary.max;
    for (std::size_t i = 0; i < 5; ++i) *target++ = quantiles[i];
    *target++ = shape.skew;
    *target++ = shape.kurtosis;
    return target;
}

// Turns a symmetric matrix in the plane of two axes so that their covariance vanishes.
void rotate_away(double (&matrix)[3][3], std::size_t p, std::size_t q) {
    const double shared = matrix[p][q];
    if (shared == 0.0) return;
    const double slope = (matrix[q][q] - matrix[p][p]) / (2.0 * shared);
    const double size = __builtin_fabs(slope) + __builtin_sqrt(slope * slope + 1.0);
    const double tangent = slope < 0.0 ? -1.0 / size : 1.0 / size;
    const double cosine = 1.0 / __builtin_sqrt(tangent * tangent + 1.0);
    const double sine = tangent * cosine;
    const std::size_t r = 3 - p - q;
    matrix[p][p] -= tangent * shared;
    matrix[q][q] += tangent * shared;
    matrix[p][q] = matrix[q][p] = 0.0;
    const double with_p = matrix[r][p];
    const double with_q = matrix[r][q];
    matrix[r][p] = matrix[p][r] = cosine * with_p - sine * with_q;
    matrix[r][q] = matrix[q][r] = sine * with_p + cosine * with_q;
}

// The variances along the principal axes, the largest first: eigenvalues of the axes' covariance by Jacobi's
// rotations, which converge quadratically.
PATCHTST_HAR_STAGE void principal_variances(const AxisMoments& moments, double* target) {
    constexpr int kSweeps = 8;
    const double* variance = moments.variance;
    const double* covariance = moments.covariance;
    double matrix[3][3] = {{variance[0], covariance[0], covariance[1]},
                           {covariance[0], variance[1], covariance[2]},
                           {covariance[1], covariance[2], variance[2]}};
    for (int sweep = 0; sweep < kSweeps; ++sweep) {
        rotate_away(matrix, 0, 1);
        rotate_away(matrix, 0, 2);
        rotate_away(matrix, 1, 2);
    }
    for (std::size_t i = 0; i < 3; ++i) {
        // Sorted as they come.
        double value = matrix[i][i] > 0.0 ? matrix[i][i] : 0.0;
        for (std::size_t k = 0; k < i; ++k) {
            if (target[k] >= value) continue;
            const double smaller = target[k];
            target[k] = value;
            value = smaller;
        }
        target[i] = value;
    }
}

}  // namespace
}  // namespace patchtst_har::statistics
