// Local maxima and their prominences in linear time.
#pragma once

#include "statistics/kernel/selection.hpp"

namespace patchtst_har::statistics {
namespace {

struct PeakFeatures {
    double count, median_prominence;
};

// Peaks in turn with the lowest values between them: valleys[i] lies before peaks[i], valleys[n] after the
// last one. Beyond its ends (two places before, one after) a range has peaks of infinite height.
struct Range {
    float *peaks, *valleys;
    std::size_t n;
};

PATCHTST_HAR_INLINE void wall_in(const Range& range) {
    range.peaks[-2] = range.peaks[-1] = range.peaks[range.n] = __builtin_inff();
}

// Writes the signal with every plateau as one value, an infinite one before and after it; returns how many.
std::size_t without_plateaus(const float* __restrict signal, std::size_t n, float* __restrict target) {
    target[-1] = __builtin_inff();
    target[0] = signal[0];
    std::size_t count = 1;
    for (std::size_t i = 1; i < n; i += kWidth<float>) {
        const auto value = load<Floats>(signal + i);
        const auto before = load<Floats>(signal + i - 1);
        const std::uint32_t moved = bits_of_less(value, before) | bits_of_less(before, value);
        const std::uint32_t kept = moved & bits_below(n - i);
        pack(target + count, value, kept);
        count += count_bits(kept);
    }
    target[count] = __builtin_inff();
    return count;
}

// Splits a signal without plateaus into its local maxima and minima. The ends count as minima if their
// neighbour is higher: an end that is higher than its neighbour is not the base of a peak.
void split_turns(const float* __restrict signal, std::size_t n, Range& range) {
    std::size_t n_peaks = 0;
    std::size_t n_valleys = 0;
    for (std::size_t i = 0; i < n; i += kWidth<float>) {
        const auto value = load<Floats>(signal + i);
        const auto before = load<Floats>(signal + i - 1);
        const auto after = load<Floats>(signal + i + 1);
        const std::uint32_t present = bits_below(n - i);
        const std::uint32_t rises = bits_of_less(before, value);
        const std::uint32_t falls = bits_of_less(after, value);
        const std::uint32_t tops = rises & falls & present;
        const std::uint32_t bottoms = ~rises & ~falls & present;
        pack(range.peaks + n_peaks, value, tops);
        pack(range.valleys + n_valleys, value, bottoms);
        n_peaks += count_bits(tops);
        n_valleys += count_bits(bottoms);
    }
    range.n = n_peaks;
    wall_in(range);
}

// Settles all peaks that are lower than both neighbours, writes their prominences, and leaves the others,
// with the valleys between them, in `rest`. Of two tied peaks the left one is settled if the valley between
// them is not higher than the one before: then what lies beyond does not matter.
void settle_lowest(const Range& range, Range& rest, float*& prominence) {
    std::size_t n_left = 0;
    std::uint32_t settled = 0;
    for (std::size_t i = 0; i < range.n; i += kWidth<float>) {
        const float* at = range.peaks + i;
        const float* valley = range.valleys + i;
        const auto peak = load<Floats>(at);
        const auto before = load<Floats>(at - 1);
        const auto left = load<Floats>(valley);
        const std::uint32_t present = bits_below(range.n - i);
        const auto after = load<Floats>(at + 1);
        const auto right = load<Floats>(valley + 1);
        const std::uint32_t tied = ~(bits_of_less(after, peak) | bits_of_less(left, right));
        settled = bits_of_less(peak, before) & (bits_of_less(peak, after) | tied) & present;
        pack(prominence, peak - Greatest{}(left, right), settled);
        prominence += count_bits(settled);
        // If the peak before goes, the valley before that one is on this peak's side (if tied, it is no
        // lower).
        const auto farther = Least{}(left, load<Floats>(valley - 1));
        const auto joined = before < peak ? farther : left;
        const auto lowest = before < load<Floats>(at - 2) ? joined : left;
        const std::uint32_t kept = ~settled & present;
        pack(rest.peaks + n_left, peak, kept);
        pack(rest.valleys + n_left, lowest, kept);
        n_left += count_bits(kept);
    }
    const float* last = range.valleys + range.n;
    const bool last_settled = (settled >> (range.n - 1) % kWidth<float> & 1U) != 0;
    rest.valleys[n_left] = last_settled ? Least{}(last[-1], last[0]) : last[0];
    rest.n = n_left;
    wall_in(rest);
}

// The peaks that no later one has exceeded so far, the highest at the bottom of a stack.
struct Rivals {
    float* height;
    float* left;  // lowest value back to the next strictly higher sample
    float* gap;   // lowest value back to the rival below
    std::size_t size;
};

// Removes the top, whose right side falls to `right`; writes its prominence.
PATCHTST_HAR_INLINE void settle_top(Rivals& rivals, float& right, float*& prominence) {
    const std::size_t top = --rivals.size;
    const float base = rivals.left[top] > right ? rivals.left[top] : right;
    *prominence++ = rivals.height[top] - base;
    right = Least{}(right, rivals.gap[top]);
}

PATCHTST_HAR_INLINE void push_peak(Rivals& rivals, float peak, float valley, float*& prominence) {
    while (rivals.size > 0 && rivals.height[rivals.size - 1] < peak) settle_top(rivals, valley, prominence);
    const std::size_t top = rivals.size;
    const bool tied = top > 0 && rivals.height[top - 1] == peak;
    rivals.height[top] = peak;
    rivals.gap[top] = valley;
    rivals.left[top] = tied ? Least{}(valley, rivals.left[top - 1]) : valley;
    ++rivals.size;
}

void settle_by_stack(const Plan& plan, const Range& range, float*& prominence) {
    Rivals rivals{plan.height, plan.left, plan.gap, 0};
    for (std::size_t k = 0; k < range.n; ++k) {
        push_peak(rivals, range.peaks[k], range.valleys[k], prominence);
    }
    float right = range.valleys[range.n];
    while (rivals.size > 0) settle_top(rivals, right, prominence);
}

// Rounds of whole registers settle most peaks; the stack is for those that are tied or in a row of rising
// ones.
PATCHTST_HAR_STAGE void settle(const Plan& plan, Range range, Range spare) {
    constexpr std::size_t kFewPeaks = 12;
    float* prominence = plan.prominences;
    while (range.n > kFewPeaks) {
        settle_lowest(range, spare, prominence);
        const Range rest = spare;
        const bool slow = (range.n - rest.n) * 8 < range.n;
        spare = range;
        range = rest;
        if (slow) break;
    }
    settle_by_stack(plan, range, prominence);
}

// Peaks and prominences as scipy.signal.find_peaks and peak_prominences define them: the ends of the signal
// are not peaks, and a base is looked for up to the next strictly higher sample. Both are 0 without peaks.
PATCHTST_HAR_STAGE PeakFeatures peaks_of(const Plan& plan) {
    const std::size_t count = without_plateaus(plan.channels[3], plan.n, plan.turning);
    Range range{plan.peaks[0], plan.valleys[0], 0};
    split_turns(plan.turning, count, range);
    if (range.n == 0) return {0.0, 0.0};
    settle(plan, range, {plan.peaks[1], plan.valleys[1], 0});
    return {static_cast<double>(range.n), median_of(plan, plan.prominences, range.n)};
}

}  // namespace
}  // namespace patchtst_har::statistics
