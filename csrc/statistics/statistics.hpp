// The statistical and the movement features of one window of raw tri-axial acceleration in g.
#pragma once

#include <cstddef>

#include "statistics/columns.hpp"
#include "statistics/workspace.hpp"

namespace patchtst_har::statistics {

// Writes the features of `window` (n_samples x 3, row major, n_samples >= 1) to features[0..kFeatureCount).
// `rate_hz` is positive and finite. Allocates only when `workspace` has no plan for this length and rate.
void compute_features(const float* window, std::size_t n_samples, double rate_hz, Workspace& workspace,
                      float* features);

// Writes the movement features of `window` to features[0..kMovementCount), likewise.
void compute_movement(const float* window, std::size_t n_samples, double rate_hz, Workspace& workspace,
                      float* features);

// Returns the magnitude (n_samples) of the repaired window, valid until the workspace's next window.
const float* compute_magnitude(const float* window, std::size_t n_samples, Workspace& workspace);

// The same of the window whose features compute_features() or compute_movement() wrote last, with this length
// and rate.
const float* last_magnitude(std::size_t n_samples, double rate_hz, Workspace& workspace);

}  // namespace patchtst_har::statistics
