// The statistical features of one window of raw tri-axial acceleration in g.
#pragma once

#include <cstddef>

#include "statistics/columns.hpp"
#include "statistics/workspace.hpp"

namespace patchtst_har::statistics {

// Writes the features of `window` (n_samples x 3, row major, n_samples >= 1) to features[0..kFeatureCount).
// `rate_hz` is positive and finite. Allocates only when `workspace` has no plan for this length and rate.
void compute_features(const float* window, std::size_t n_samples, double rate_hz, Workspace& workspace,
                      float* features);

// Writes the magnitude of the repaired window to magnitude[0..n_samples).
void compute_magnitude(const float* window, std::size_t n_samples, Workspace& workspace, float* magnitude);

}  // namespace patchtst_har::statistics
