// The 24 topological features of one window of raw tri-axial acceleration in g.
#pragma once

#include <cstddef>

#include "topology/workspace.hpp"

namespace patchtst_har::topology {

inline constexpr std::size_t kFeatureCount = 24;

// Time spent in each stage.
struct StageSeconds {
    double magnitude = 0.0;
    double decimation = 0.0;
    double embedding = 0.0;
    double persistence = 0.0;
    double summary = 0.0;
};

// Writes the features of `window` (n_samples x 3, row major, n_samples >= 1) to features[0..24) and adds the
// time of each stage to `seconds`. Of a length and embedding that were seen before, it allocates only if the
// persistence of this cloud needs more memory than any earlier one.
void compute_features(const float* window, std::size_t n_samples, const Embedding& embedding,
                      Workspace& workspace, float* features, StageSeconds& seconds);

// The same of a repaired window's magnitude (n_samples): nothing is added to the stage of that name.
void compute_features_of_magnitude(const float* magnitude, std::size_t n_samples, const Embedding& embedding,
                                   Workspace& workspace, float* features, StageSeconds& seconds);

// Writes the same summaries of simpler diagrams, in O(n log n): in place of H0 the persistence of the
// sublevel sets of the magnitude m (its valleys), in place of H1 that of max m - m (its peaks), in place of
// the enclosing radius the range of m.
void compute_simplified_features(const float* window, std::size_t n_samples, Workspace& workspace,
                                 float* features);

}  // namespace patchtst_har::topology
