// Splits an interleaved window into channels, replaces samples that are no measurement, takes the magnitude.
#pragma once

#include "statistics/kernel/lanes.hpp"
#include "statistics/plan.hpp"

namespace patchtst_har::statistics {
namespace {

// Bits of 1e19, the largest |value| taken for a measurement: the sum of three squares still fits a float32.
constexpr std::int32_t kLargestBits = 0x5F0AC723;

// As integers, magnitudes are in the order of the numbers, with NaN above infinity.
PATCHTST_HAR_INLINE std::int32_t magnitude_bits(const float* value) {
    return static_cast<std::int32_t>(load<std::uint32_t>(value) & 0x7FFFFFFFU);
}

bool is_valid(const float* value) {
    return magnitude_bits(value) <= kLargestBits;
}

bool all_valid(const float* values, std::size_t n) {
    std::int32_t largest = 0;
    for (std::size_t i = 0; i < n; ++i) {
        const std::int32_t bits = magnitude_bits(values + i);
        largest = bits > largest ? bits : largest;
    }
    return largest <= kLargestBits;
}

// Fills the invalid stretch (left, right) exclusive; both ends are valid.
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

void take_magnitude(const float* __restrict x, const float* __restrict y, const float* __restrict z,
                    std::size_t n, float* __restrict m) {
    for (std::size_t i = 0; i < n; ++i) m[i] = __builtin_sqrtf((x[i] * x[i] + y[i] * y[i]) + z[i] * z[i]);
}

PATCHTST_HAR_STAGE void load_window(const float* __restrict window, const Plan& plan) {
    const std::size_t n = plan.n;
    float* __restrict x = plan.channels[0];
    float* __restrict y = plan.channels[1];
    float* __restrict z = plan.channels[2];
    for (std::size_t i = 0; i < n; ++i) {
        x[i] = window[3 * i];
        y[i] = window[3 * i + 1];
        z[i] = window[3 * i + 2];
    }
    if (!all_valid(window, 3 * n)) {
        for (std::size_t axis = 0; axis < 3; ++axis) repair(plan.channels[axis], n);
    }
    take_magnitude(x, y, z, n, plan.channels[3]);
}

}  // namespace
}  // namespace patchtst_har::statistics
