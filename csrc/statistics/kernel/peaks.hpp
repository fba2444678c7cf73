// Local maxima and their prominences in linear time.
#pragma once

#include "statistics/kernel/selection.hpp"
#include "statistics/plan.hpp"

namespace patchtst_har::statistics {
namespace {

struct PeakFeatures {
    double count, median_prominence;
};

PATCHTST_HAR_INLINE float lower(float a, float b) {
    return b < a ? b : a;
}

// Writes the first value, the local extrema in turn and the last value; returns their number. A plateau
// counts once. Without branches: every value is written, over the one before unless the signal turned there.
std::size_t extrema_of(const float* __restrict signal, std::size_t n, float* __restrict extrema) {
    std::size_t position = 0;
    std::int32_t direction = 0;
    extrema[0] = signal[0];
    for (std::size_t i = 1; i < n; ++i) {
        const std::int32_t step = (signal[i] > signal[i - 1]) - (signal[i] < signal[i - 1]);
        const std::int32_t heading = step != 0 ? step : direction;
        position += static_cast<std::size_t>(heading != direction);
        direction = heading;
        extrema[position] = signal[i];
    }
    return position + 1;
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
    right = lower(right, rivals.gap[top]);
}

PATCHTST_HAR_INLINE void settle_all(Rivals& rivals, float right, float*& prominence) {
    while (rivals.size > 0) settle_top(rivals, right, prominence);
}

PATCHTST_HAR_INLINE void push_peak(Rivals& rivals, float peak, float valley, float*& prominence) {
    while (rivals.size > 0 && rivals.height[rivals.size - 1] < peak) settle_top(rivals, valley, prominence);
    const std::size_t top = rivals.size;
    const bool tied = top > 0 && rivals.height[top - 1] == peak;
    rivals.height[top] = peak;
    rivals.gap[top] = valley;
    rivals.left[top] = tied ? lower(valley, rivals.left[top - 1]) : valley;
    ++rivals.size;
}

// Peaks and prominences as scipy.signal.find_peaks and peak_prominences define them: the ends of the signal
// are no peaks, and a base is looked for up to the next strictly higher sample. Both are 0 without peaks.
PATCHTST_HAR_STAGE PeakFeatures peaks_of(const Plan& plan) {
    const std::size_t count = extrema_of(plan.channels[3], plan.n, plan.extrema);
    // An end of the signal above its neighbour is no base; one below it is.
    const bool falls_first = count > 1 && plan.extrema[1] < plan.extrema[0];
    const float* valleys = plan.extrema + (falls_first ? 1 : 0);
    const std::size_t n_peaks = (count - (falls_first ? 1 : 0) - 1) / 2;
    if (n_peaks == 0) return {0.0, 0.0};
    Rivals rivals{plan.height, plan.left, plan.gap, 0};
    float* prominence = plan.prominences;
    for (std::size_t k = 0; k < n_peaks; ++k) {
        push_peak(rivals, valleys[2 * k + 1], valleys[2 * k], prominence);
    }
    settle_all(rivals, valleys[2 * n_peaks], prominence);
    return {static_cast<double>(n_peaks), median_of(plan, plan.prominences, n_peaks)};
}

}  // namespace
}  // namespace patchtst_har::statistics
