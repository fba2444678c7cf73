#include "topology/stages.hpp"

#include <algorithm>

namespace patchtst_har::topology {
namespace {

constexpr std::size_t kLanes = 8;

// The order of additions is fixed, whatever the compiler makes of the lanes.
double total_of(const double (&lane)[kLanes]) {
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

double dot(const double* a, const double* b, std::size_t n) {
    double lane[kLanes] = {};
    const std::size_t whole = n - n % kLanes;
    for (std::size_t j = 0; j < whole; j += kLanes) {
        for (std::size_t l = 0; l < kLanes; ++l) lane[l] += a[j + l] * b[j + l];
    }
    for (std::size_t j = whole; j < n; ++j) lane[j - whole] += a[j] * b[j];
    return total_of(lane);
}

double mean_of(const double* values, std::size_t n) {
    double sum = 0.0;
    for (std::size_t i = 0; i < n; ++i) sum += values[i];
    return sum / static_cast<double>(n);
}

// Continues values[0..n) by `margin` on either side: ... v1 v0 | v0 v1 ... v(n-1) | v(n-1) v(n-2) ...
void mirror(const float* values, std::size_t n, std::size_t margin, double* mirrored) {
    std::copy_n(values, n, mirrored + margin);
    const double* first = mirrored + margin;
    for (std::size_t i = 0; i < margin; ++i) {
        // The continuation has a period of 2 n.
        const std::size_t steps = i % (2 * n);
        const std::size_t inward = steps < n ? steps : 2 * n - 1 - steps;
        mirrored[margin - 1 - i] = first[inward];
        mirrored[margin + n + i] = first[n - 1 - inward];
    }
}

}  // namespace

void decimate(const Plan& plan, const float* magnitude, double* mirrored, double* kept) {
    const std::size_t n = plan.n_samples();
    if (plan.taps.empty()) {
        std::copy_n(magnitude, n, kept);
        return;
    }
    const std::size_t n_taps = plan.taps.size();
    mirror(magnitude, n, n_taps / 2, mirrored);
    for (std::size_t i = 0; i < plan.n_kept; ++i) {
        kept[i] = dot(plan.taps.data(), mirrored + i * plan.embedding.factor, n_taps);
    }
}

void embed(const Plan& plan, const double* kept, float* points) {
    const double mean = mean_of(kept, plan.n_kept);
    const auto [factor, dimension, delay] = plan.embedding;
    // Rounded about its mean, the series keeps small lifetimes precise and equal samples equal.
    for (std::size_t i = 0; i < plan.n_points; ++i) {
        for (std::size_t k = 0; k < dimension; ++k) {
            points[i * dimension + k] = static_cast<float>(kept[i + k * delay] - mean);
        }
    }
}

}  // namespace patchtst_har::topology
