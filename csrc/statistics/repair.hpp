// Splits an interleaved window into channels, replaces samples that are no measurement, and takes the
// magnitude.
#pragma once

#include <cstddef>

namespace patchtst_har::statistics {

// Largest |value| taken for a measurement: the sum of three squares still fits a float32.
inline constexpr float kLargestValue = 1e19F;

// Copies channel `axis` of `window` (n x 3) to channel[0..n). NaN, infinities and values beyond kLargestValue
// are interpolated linearly between their neighbours, at the ends replaced by the nearest valid value; a
// channel without any valid value becomes 0.
void repair_channel(const float* window, std::size_t n, std::size_t axis, float* channel);

// magnitude[i] = sqrt((x*x + y*y) + z*z), rounded to float32 at each step.
void magnitude_of(const float* x, const float* y, const float* z, std::size_t n, float* magnitude);

}  // namespace patchtst_har::statistics
