// Splits an interleaved window into channels, replaces samples that are not valid, takes the magnitude
// and, in one pass, mean and extremes of all four.
#pragma once

#include "statistics/kernel/blocks.hpp"
#include "statistics/kernels.hpp"

namespace patchtst_har::statistics {
namespace {

// Bits of 1e19, the largest |value| taken for a measurement: the sum of three squares still fits a float32.
constexpr std::int32_t kLargestBits = 0x5F0AC723;

// As integers, magnitudes are in the order of the numbers, with NaN above infinity.
bool is_valid(const float* value) {
    return static_cast<std::int32_t>(load<std::uint32_t>(value) & 0x7FFFFFFFU) <= kLargestBits;
}

// Fills the invalid run (left, right) exclusive; both ends are valid.
void interpolate(float* channel, std::size_t left, std::size_t right) {
    const double start = channel[left];
    const double slope = (static_cast<double>(channel[right]) - start) / static_cast<double>(right - left);
    for (std::size_t i = left + 1; i < right; ++i) {
        channel[i] = static_cast<float>(slope * static_cast<double>(i - left) + start);
    }
}

void fill(float* first, const float* last, float value) {
    while (first != last) *first++ = value;
}

// NaN, infinities and values beyond 1e19 are interpolated linearly between their neighbours, at the ends
// replaced by the nearest valid value; a channel without any valid value becomes 0.
void repair(float* channel, std::size_t n) {
    std::size_t last = 0;
    while (last < n && !is_valid(channel + last)) ++last;
    if (last == n) {
        fill(channel, channel + n, 0.0F);
        return;
    }
    fill(channel, channel + last, channel[last]);
    for (std::size_t i = last + 1; i < n; ++i) {
        if (!is_valid(channel + i)) continue;
        if (i > last + 1) interpolate(channel, last, i);
        last = i;
    }
    fill(channel + last + 1, channel + n, channel[last]);
}

void split_axes(const float* __restrict window, std::size_t n, float* __restrict x, float* __restrict y,
                float* __restrict z) {
    std::size_t i = 0;
#if PATCHTST_HAR_VECTOR_BYTES == 64
    for (; i + kFloats <= n; i += kFloats) split_triples(window + 3 * i, {x + i, y + i, z + i});
#endif
    for (; i < n; ++i) {
        x[i] = window[3 * i];
        y[i] = window[3 * i + 1];
        z[i] = window[3 * i + 2];
    }
}

struct Summary {
    double mean;
    float min, max;
};

// Sum and extremes of a channel, sixteen values after sixteen.
struct Tally {
    Extremes extremes;
    Doubles sum{};

    explicit PATCHTST_HAR_INLINE Tally(const float* values) : extremes(values[0]) {}

    PATCHTST_HAR_INLINE void see(const float* sixteen) {
        extremes.see(sixteen);
        sum += Doubles::at(sixteen);
        sum += Doubles::at(sixteen + kLanes);
    }

    // Takes in the values from `start` on, fewer than sixteen.
    [[nodiscard]] PATCHTST_HAR_INLINE Summary finish(const float* values, std::size_t start, std::size_t n) {
        Summary result{};
        for_each_block(n - start, [&](auto block) { sum += block(values + start, 0.0); });
        extremes.result(values, start, n, result.min, result.max);
        result.mean = sum_of(sum) / static_cast<double>(n);
        return result;
    }
};

// Takes the magnitude of sixteen samples; `worst` remembers the largest bits of their axes.
PATCHTST_HAR_INLINE void take_magnitudes(const Plan& plan, std::size_t start, IntegerBlock& worst) {
    for (std::size_t i = 0; i < IntegerBlock::kParts; ++i) {
        const std::size_t at = start + i * IntegerBlock::kPartLanes;
        const auto x = load<Floats>(plan.channels[0] + at);
        const auto y = load<Floats>(plan.channels[1] + at);
        const auto z = load<Floats>(plan.channels[2] + at);
        const Integers x_bits = bits_as<Integers>(x) & 0x7FFFFFFF;
        const Integers y_bits = bits_as<Integers>(y) & 0x7FFFFFFF;
        const Integers z_bits = bits_as<Integers>(z) & 0x7FFFFFFF;
        const Integers largest = Larger{}(Larger{}(x_bits, y_bits), z_bits);
        worst.part[i] = Larger{}(largest, worst.part[i]);
        store(plan.channels[3] + at, square_root((x * x + y * y) + z * z));
    }
}

// Fills the magnitude and the summaries of all four channels; false if a sample is not valid.
PATCHTST_HAR_STAGE bool summarise(const Plan& plan, Summary* summaries) {
    float* const* channels = plan.channels;
    const std::size_t n = plan.n;
    const std::size_t whole = n - n % kFloats;
    IntegerBlock worst{};
    // Zeros behind the last sample are valid and take part in nothing else.
    for (std::size_t axis = 0; axis < 3; ++axis) {
        __builtin_memset(channels[axis] + n, 0, sizeof(float[kFloats]));
    }
    take_magnitudes(plan, 0, worst);
    Tally x(channels[0]);
    Tally y(channels[1]);
    Tally z(channels[2]);
    Tally m(channels[3]);
    for (std::size_t start = 0; start < whole; start += kFloats) {
        take_magnitudes(plan, start, worst);
        x.see(channels[0] + start);
        y.see(channels[1] + start);
        z.see(channels[2] + start);
        m.see(channels[3] + start);
    }
    take_magnitudes(plan, whole, worst);
    summaries[0] = x.finish(channels[0], whole, n);
    summaries[1] = y.finish(channels[1], whole, n);
    summaries[2] = z.finish(channels[2], whole, n);
    summaries[3] = m.finish(channels[3], whole, n);
    return reduced(worst, Larger{}) <= kLargestBits;
}

// Fills plan.channels, with samples that are not valid repaired, and the summaries of all four.
PATCHTST_HAR_STAGE void load_window(const float* window, const Plan& plan, Summary* summaries) {
    split_axes(window, plan.n, plan.channels[0], plan.channels[1], plan.channels[2]);
    if (summarise(plan, summaries)) return;
    for (std::size_t axis = 0; axis < 3; ++axis) repair(plan.channels[axis], plan.n);
    summarise(plan, summaries);
}

}  // namespace
}  // namespace patchtst_har::statistics
