// Local maxima and their prominences in linear time.
#pragma once

#include <cstddef>

#include "statistics/workspace.hpp"

namespace patchtst_har::statistics {

struct PeakFeatures {
    double count, median_prominence;
};

// Peaks and prominences as scipy.signal.find_peaks and peak_prominences define them: a plateau counts once,
// at the middle rounded down, the ends of the signal are no peaks, and a base is looked for up to the next
// strictly higher sample. Both features are 0 without peaks.
PeakFeatures peaks_of(const float* signal, std::size_t n, Workspace& workspace);

}  // namespace patchtst_har::statistics
