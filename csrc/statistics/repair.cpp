#include "statistics/repair.hpp"

#include <algorithm>
#include <cmath>

namespace patchtst_har::statistics {
namespace {

bool is_valid(float value) {
    return std::fabs(value) <= kLargestValue;
}

// Fills the invalid stretch (left, right) exclusive; both ends are valid.
void interpolate(float* channel, std::size_t left, std::size_t right) {
    const double start = channel[left];
    const double slope = (static_cast<double>(channel[right]) - start) / static_cast<double>(right - left);
    for (std::size_t i = left + 1; i < right; ++i) {
        channel[i] = static_cast<float>(slope * static_cast<double>(i - left) + start);
    }
}

void repair(float* channel, std::size_t n) {
    std::size_t last = 0;
    while (last < n && !is_valid(channel[last])) ++last;
    if (last == n) {
        std::fill(channel, channel + n, 0.0F);
        return;
    }
    std::fill(channel, channel + last, channel[last]);
    for (std::size_t i = last + 1; i < n; ++i) {
        if (!is_valid(channel[i])) continue;
        if (i > last + 1) interpolate(channel, last, i);
        last = i;
    }
    std::fill(channel + last + 1, channel + n, channel[last]);
}

}  // namespace

void repair_channel(const float* window, std::size_t n, std::size_t axis, float* channel) {
    bool all_valid = true;
    for (std::size_t i = 0; i < n; ++i) {
        channel[i] = window[3 * i + axis];
        all_valid &= is_valid(channel[i]);
    }
    if (!all_valid) repair(channel, n);
}

void magnitude_of(const float* x, const float* y, const float* z, std::size_t n, float* magnitude) {
    for (std::size_t i = 0; i < n; ++i) {
        magnitude[i] = std::sqrt((x[i] * x[i] + y[i] * y[i]) + z[i] * z[i]);
    }
}

}  // namespace patchtst_har::statistics
