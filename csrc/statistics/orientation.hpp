// Gravity filter and circular statistics of roll, pitch and yaw.
#pragma once

#include <cstddef>

namespace patchtst_har::statistics {

struct Axes {
    double *x, *y, *z;
};

// g(t) = alpha g(t-1) + (1 - alpha) a(t), g(0) = a(0), alpha = exp(-2 pi 0.5 / rate_hz): writes g to
// gravity[0..n) and a - g to dynamic[0..n).
void split_gravity(const float* acceleration, std::size_t n, double rate_hz, double* gravity,
                   double* dynamic);

struct CircularStatistics {
    double mean, std;  // radians; the mean of directions that cancel out (R < 1e-12) is 0
};

struct Orientation {
    CircularStatistics roll, pitch, yaw;
};

// Circular means and standard deviations of the three angles over axes[0..n), from unit vectors alone.
Orientation orientation_of(const Axes& axes, std::size_t n);

}  // namespace patchtst_har::statistics
