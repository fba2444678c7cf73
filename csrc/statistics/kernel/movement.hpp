// The movement features: bands of the spectra, parts of the window, repetition, and gravity's direction.
#pragma once

#include "statistics/columns.hpp"
#include "statistics/kernel/cycle.hpp"
#include "statistics/kernel/gravity.hpp"

namespace patchtst_har::statistics {
namespace {

constexpr std::size_t kParts = 8;
constexpr std::size_t kOfChannel = movement_column("y_band_1") - movement_column("x_band_1");
constexpr std::size_t kFirstMoments = movement_column("x_log_std");
constexpr std::size_t kFirstPart = movement_column("x_part_mean_min");
constexpr std::size_t kFirstQuantile = movement_column("x_q02");

// What is added before a logarithm: so little that it cannot be distinguished from no movement.
constexpr double kNoPower = 1e-8;
constexpr double kNoMovement = 1e-4;
constexpr double kNoJerk = 1e-3;

// Adds a floor to values[0..n) and takes logarithms. Without the C library: the same on every machine.
PATCHTST_HAR_INLINE void take_logarithms(double* values, std::size_t n, double floor) {
    for_each_block(n, [&](auto block) {
        const Doubles sums = block(values, 1.0) + Doubles::all(floor);
        double lane[kLanes];
        each([](const auto& part) { return logarithm(part); }, sums).to(lane);
        for (std::size_t i = 0; i < kLanes && block.start + i < n; ++i) values[block.start + i] = lane[i];
    });
}

// Writes the spectrum's bands of a channel; its power stays in plan.power.
PATCHTST_HAR_STAGE void write_bands(const Plan& plan, const MovementPlan& movement, const float* values,
                                    double mean, double* target) {
    const Doubles centre = Doubles::all(mean);
    double* signal = movement.signal;
    for_each_block(plan.n, [&](auto block) {
        const Doubles tapered = (block(values, mean) - centre) * block(movement.taper, 0.0);
        tapered.to(signal + block.start);
    });
    power_of(plan.spectrum, signal, plan.power);
    for (std::size_t band = 0; band < kBands; ++band) {
        const std::size_t first = movement.bands[band];
        target[band] = total_of(plan.power + first, movement.bands[band + 1] - first) * movement.power_scale;
    }
}

struct Jerk {
    double std, mean;  // population standard deviation, mean of the sizes; g/s
};

PATCHTST_HAR_STAGE Jerk jerk_of(const float* values, std::size_t n, double rate_hz) {
    if (n < 2) return {0.0, 0.0};
    const auto count = static_cast<double>(n - 1);
    const double mean = (static_cast<double>(values[n - 1]) - static_cast<double>(values[0])) / count;
    Doubles squares{};
    Doubles sizes{};
    for_each_block(n - 1, [&](auto block) {
        const Doubles deviation = (block(values + 1, mean) - block(values, 0.0)) - Doubles::all(mean);
        squares += deviation * deviation;
        const Doubles change = block(values + 1, 0.0) - block(values, 0.0);
        sizes += each(Larger{}, change, Doubles{} - change);
    });
    return {__builtin_sqrt(sum_of(squares) / count) * rate_hz, sum_of(sizes) / count * rate_hz};
}

// Smallest, largest, standard deviation and median of at most kParts values, which are sorted.
PATCHTST_HAR_INLINE void write_spread(double* values, std::size_t n, double* target) {
    const auto count = static_cast<double>(n);
    double sum = 0.0;
    for (std::size_t i = 0; i < n; ++i) sum += values[i];
    double squares = 0.0;
    for (std::size_t i = 0; i < n; ++i) squares += (values[i] - sum / count) * (values[i] - sum / count);
    for (std::size_t i = 1; i < n; ++i) {
        const double value = values[i];
        std::size_t place = i;
        for (; place > 0 && values[place - 1] > value; --place) values[place] = values[place - 1];
        values[place] = value;
    }
    target[0] = values[0];
    target[1] = values[n - 1];
    target[2] = __builtin_sqrt(squares / count);
    target[3] = 0.5 * (values[(n - 1) / 2] + values[n / 2]);
}

// Of the means and of the logarithms of the deviations of equal parts of the window.
PATCHTST_HAR_STAGE void write_parts(const float* values, std::size_t n, double* target) {
    const std::size_t n_parts = n < kParts ? n : kParts;
    double means[kParts] = {};
    double deviations[kParts] = {};
    for (std::size_t part = 0; part < n_parts; ++part) {
        const std::size_t start = part * n / n_parts;
        const std::size_t size = (part + 1) * n / n_parts - start;
        const float* first = values + start;
        Doubles sum{};
        for_each_block(size, [&](auto block) { sum += block(first, 0.0); });
        const double mean = sum_of(sum) / static_cast<double>(size);
        Doubles squares{};
        for_each_block(size, [&](auto block) {
            const Doubles deviation = block(first, mean) - Doubles::all(mean);
            squares += deviation * deviation;
        });
        means[part] = mean;
        deviations[part] = __builtin_sqrt(sum_of(squares) / static_cast<double>(size));
    }
    take_logarithms(deviations, kParts, kNoMovement);
    write_spread(means, n_parts, target);
    write_spread(deviations, n_parts, target + 4);
}

// Writes the columns of one axis or of the magnitude.
void write_channel(const Plan& plan, const MovementPlan& movement, std::size_t channel,
                   const Summary& summary, double std, double* target) {
    constexpr double kFractions[] = {0.02, 0.1, 0.9, 0.98};
    const float* values = plan.channels[channel];
    write_bands(plan, movement, values, summary.mean, target);
    take_logarithms(target, kBands, kNoPower);
    const Jerk jerk = jerk_of(values, plan.n, movement.rate_hz);
    target[kFirstMoments] = std + kNoMovement;
    target[kFirstMoments + 1] = jerk.std + kNoJerk;
    target[kFirstMoments + 2] = jerk.mean + kNoJerk;
    take_logarithms(target + kFirstMoments, 3, 0.0);
    write_parts(values, plan.n, target + kFirstPart);
    const Quantiles<4> quantiles(plan, values, plan.n, summary.min, summary.max, kFractions);
    for (std::size_t i = 0; i < 4; ++i) target[kFirstQuantile + i] = quantiles[i];
}

struct MagnitudeRelations {
    double std, correlation[3];  // with the axes
};

PATCHTST_HAR_STAGE MagnitudeRelations relate_magnitude(const Plan& plan, const Summary* summaries,
                                                       const AxisMoments& moments) {
    Doubles squares{};
    Doubles products[3] = {};
    const auto deviation = [&](auto block, std::size_t channel) {
        const double mean = summaries[channel].mean;
        return block(plan.channels[channel], mean) - Doubles::all(mean);
    };
    for_each_block(plan.n, [&](auto block) {
        const Doubles m = deviation(block, 3);
        squares += m * m;
        for (std::size_t axis = 0; axis < 3; ++axis) products[axis] += m * deviation(block, axis);
    });
    const auto count = static_cast<double>(plan.n);
    MagnitudeRelations result{__builtin_sqrt(sum_of(squares) / count), {}};
    for (std::size_t axis = 0; axis < 3; ++axis) {
        result.correlation[axis] = correlation(sum_of(products[axis]) / count, moments.std[axis], result.std);
    }
    return result;
}

void write_gravity(const Plan& plan, const MovementPlan& movement, const Gravity& gravity, double* target) {
    const double* up = gravity.up;
    for (std::size_t axis = 0; axis < 3; ++axis) *target++ = up[axis];
    for (std::size_t axis = 0; axis < 3; ++axis) *target++ = angle_of(up[(axis + 1) % 3], up[axis]);
    split_by_gravity(plan, gravity, movement.vertical, movement.horizontal);
    target = write_direction(plan, movement.vertical, target);
    write_direction(plan, movement.horizontal, target);
}

void compute_movement(const float* window, const Plan& plan, const MovementPlan& movement, float* features) {
    Summary summaries[4];
    load_window(window, plan, summaries);
    const AxisMoments moments = axis_moments(plan, summaries);
    const MagnitudeRelations relations = relate_magnitude(plan, summaries, moments);
    double values[kMovementCount];
    for (std::size_t channel = 0; channel < 4; ++channel) {
        const double std = channel < 3 ? moments.std[channel] : relations.std;
        write_channel(plan, movement, channel, summaries[channel], std, values + channel * kOfChannel);
    }
    double* target = values + movement_column("corr_x_mag");
    for (const double correlation : relations.correlation) *target++ = correlation;
    principal_variances(moments, target);
    take_logarithms(target, 3, kNoPower);
    // The power of the last channel, the magnitude's, is still there.
    const bool moves = relations.std >= kConstantStd;
    const Cadence cadence = moves ? cadence_of(plan, movement, plan.power) : Cadence{};
    const Cycle cycle = moves ? cycle_of(plan, movement, summaries[3].mean) : Cycle{};
    target = values + movement_column("cadence");
    *target++ = cadence.hz;
    *target++ = cadence.share;
    *target++ = cycle.duration_s;
    *target++ = cycle.height;
    *target++ = cycle.depth;
    write_gravity(plan, movement, gravity_of(summaries), target);
    for (std::size_t i = 0; i < kMovementCount; ++i) features[i] = static_cast<float>(values[i]);
}

}  // namespace
}  // namespace patchtst_har::statistics
