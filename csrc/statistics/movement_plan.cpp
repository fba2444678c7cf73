#include <algorithm>
#include <cmath>
#include <memory>

#include "statistics/kernels.hpp"
#include "statistics/workspace.hpp"

namespace patchtst_har::statistics {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kBandEdgesHz[kBands + 1] = {0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5,  1.75, 2.0, 2.5,
                                             3.0, 3.5, 4.0, 5.0, 6.5, 9.0,  13.0, 20.0, 49.0};
// Bins in which the frequency of a cadence is looked for, and the lags of its cycle.
constexpr double kCadenceHz[2] = {0.4, 5.0};
constexpr double kCycleS[2] = {0.2, 2.5};
// A bin so close to an edge (relative) lies on it, whatever the rounding of its frequency.
constexpr double kEdgeTolerance = 1e-9;

std::size_t limited(double value, double low, double high) {
    return static_cast<std::size_t>(std::clamp(value, low, high));
}

// A length of which a transform is fast, at least n.
std::size_t fast_size(std::size_t n) {
    constexpr std::size_t kStep = 128;
    std::size_t size = (n + kStep - 1) / kStep * kStep;
    while (!only_small_factors(size)) size += kStep;
    return size;
}

}  // namespace

PlannedMovement::PlannedMovement(std::size_t n_samples, double rate_hz) : n_samples_(n_samples) {
    plan_.rate_hz = rate_hz;
    plan_bands();
    plan_taper();
    const std::size_t last = n_samples - 1;
    for (std::size_t i = 0; i < 2; ++i) {
        plan_.cycle[i] = limited(std::nearbyint(kCycleS[i] * rate_hz), i == 0 ? 1.0 : 0.0,
                                 std::max(static_cast<double>(last), 1.0));
    }
    plan_.cycle[1] = std::min(plan_.cycle[1], last);
    padded_ = std::make_unique<Spectrum>(fast_size(n_samples + plan_.cycle[1] + 1));
    plan_.padded = padded_->plan();
    const std::size_t size = padded(plan_.padded.n);
    doubles_.assign(2 * size + padded(plan_.cycle[1] + 1), 0.0);
    plan_.signal = doubles_.data();
    plan_.power = plan_.signal + size;
    plan_.correlation = plan_.power + size;
    floats_.assign(2 * padded(n_samples), 0.0F);
    plan_.vertical = floats_.data();
    plan_.horizontal = plan_.vertical + padded(n_samples);
}

// power[k - 1] is that of the frequency k rate / n.
void PlannedMovement::plan_bands() {
    const double bins_per_hz = static_cast<double>(n_samples_) / plan_.rate_hz;
    const std::size_t half = n_samples_ / 2;
    const auto n_bins = static_cast<double>(half);
    const auto first_not_below = [&](double hz) {
        return limited(std::ceil(hz * (1.0 - kEdgeTolerance) * bins_per_hz), 1.0, n_bins + 1.0) - 1;
    };
    for (std::size_t i = 0; i <= kBands; ++i) plan_.bands[i] = first_not_below(kBandEdgesHz[i]);
    plan_.cadence[0] = first_not_below(kCadenceHz[0]);
    plan_.cadence[1] = limited(std::floor(kCadenceHz[1] * (1.0 + kEdgeTolerance) * bins_per_hz), 0.0, n_bins);
}

// Hann's window half a sample further in at both ends, so that it is positive at every length.
void PlannedMovement::plan_taper() {
    const auto n = static_cast<double>(n_samples_);
    taper_.assign(padded(n_samples_), 0.0);
    double squares = 0.0;
    for (std::size_t i = 0; i < n_samples_; ++i) {
        const double sine = std::sin(kPi * (static_cast<double>(i) + 0.5) / n);
        taper_[i] = sine * sine;
        squares += taper_[i] * taper_[i];
    }
    plan_.taper = taper_.data();
    plan_.power_scale = 1.0 / (n * squares);
}

}  // namespace patchtst_har::statistics
