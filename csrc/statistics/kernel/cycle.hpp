// The repetition of a movement: its strongest frequency, and the lag after which the magnitude is like
// itself.
#pragma once

#include "statistics/kernel/spectrum.hpp"

namespace patchtst_har::statistics {
namespace {

// Correlations that differ by less are level, whatever the rounding of the transforms.
constexpr double kLevel = 1e-9;
// The first peak that is so high, relative to the highest, is that of one cycle; later ones repeat it.
constexpr double kFirstPeak = 0.7;

struct Cadence {
    double hz, share;
};

struct Cycle {
    double duration_s, height, depth;
};

// power: the n / 2 bins of the magnitude, tapered.
Cadence cadence_of(const Plan& plan, const MovementPlan& movement, const double* power) {
    const std::size_t first = movement.cadence[0];
    if (first >= movement.cadence[1]) return {0.0, 0.0};
    const double total = total_of(power, plan.n / 2);
    if (!(total > 0.0)) return {0.0, 0.0};
    const std::size_t bin = first + strongest(power + first, movement.cadence[1] - first);
    return {static_cast<double>(bin + 1) * plan.bin_width_hz, power[bin] / total};
}

// Writes the autocorrelation of movement.signal, of padded.n values, at the lags from 0 to cycle[1]: the
// transform of its power.
PATCHTST_HAR_STAGE void correlate(const MovementPlan& movement) {
    const SpectrumPlan& padded = movement.padded;
    double* signal = movement.signal;
    power_of_even(padded, signal, movement.power);
    const double sum = padded.signal.re[0] + padded.signal.im[0];
    signal[0] = sum * sum;
    for (std::size_t k = 1; k <= padded.n / 2; ++k) {
        signal[k] = signal[padded.n - k] = movement.power[k - 1];
    }
    transform_even(padded, signal);
    const double scale = 0.5 / (padded.signal.re[0] + padded.signal.im[0]);
    double* correlation = movement.correlation;
    correlation[0] = 1.0;
    unpack_bins(padded, movement.cycle[1] + 1,
                [=](std::size_t k, double re, double /*im*/) { correlation[k] = re * scale; });
}

// The lag of the first peak that reaches kFirstPeak of the highest; 0 without a peak.
std::size_t cycle_lag(const MovementPlan& movement) {
    const double* correlation = movement.correlation;
    const auto rises = [=](std::size_t lag) { return correlation[lag] - correlation[lag - 1] > kLevel; };
    const auto next_peak = [&](std::size_t lag) {
        while (lag < movement.cycle[1] && (!rises(lag) || rises(lag + 1))) ++lag;
        return lag;
    };
    const std::size_t first = next_peak(movement.cycle[0]);
    if (first >= movement.cycle[1]) return 0;
    double highest = correlation[first];
    for (std::size_t lag = first; lag < movement.cycle[1]; lag = next_peak(lag + 1)) {
        highest = Greatest{}(highest, correlation[lag]);
    }
    const double enough = highest > 0.0 ? kFirstPeak * highest : highest;
    std::size_t lag = first;
    while (correlation[lag] < enough) lag = next_peak(lag + 1);
    return lag;
}

// Of a magnitude that is not constant.
PATCHTST_HAR_STAGE Cycle cycle_of(const Plan& plan, const MovementPlan& movement, double mean) {
    double* signal = movement.signal;
    const Doubles centre = Doubles::all(mean);
    for_each_block(plan.n,
                   [&](auto block) { (block(plan.channels[3], mean) - centre).to(signal + block.start); });
    __builtin_memset(signal + plan.n, 0, (movement.padded.n - plan.n) * sizeof(double));
    correlate(movement);
    const std::size_t lag = cycle_lag(movement);
    if (lag == 0) return {0.0, 0.0, 0.0};
    Doubles least = Doubles::all(1.0);
    for_each_block(lag, [&](auto block) { least = each(Least{}, least, block(movement.correlation, 1.0)); });
    return {static_cast<double>(lag) / movement.rate_hz, movement.correlation[lag], reduced(least, Least{})};
}

}  // namespace
}  // namespace patchtst_har::statistics
