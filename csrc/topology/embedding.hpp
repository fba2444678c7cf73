// From the magnitude to a cloud of points.
#pragma once

#include "topology/workspace.hpp"

namespace patchtst_har::topology {

// Writes every factor-th sample of the low-pass filtered magnitude to kept[0..n_kept). The filter is
// evaluated at those samples only; the magnitude is continued by mirroring at its ends, with `mirrored` for
// scratch.
void decimate(const Plan& plan, const float* magnitude, double* mirrored, double* kept);

// Centres kept[0..n_kept), rounds it to float32 and writes its delay embedding, row major, to
// points[0..n_points * dimension).
void embed(const Plan& plan, const double* kept, float* points);

}  // namespace patchtst_har::topology
