// The stages from a magnitude to the numbers that describe its shape.
#pragma once

#include "persistence/rips.hpp"
#include "topology/workspace.hpp"

namespace patchtst_har::topology {

// Writes every factor-th sample of the low-pass filtered magnitude to kept[0..n_kept). The filter is
// evaluated at those samples only; the magnitude is continued by mirroring at its ends, with `mirrored` for
// scratch.
void decimate(const Plan& plan, const float* magnitude, double* mirrored, double* kept);

// Centres kept[0..n_kept), rounds it to float32 and writes its delay embedding, row major, to
// points[0..n_points * dimension).
void embed(const Plan& plan, const double* kept, float* points);

// The 24 numbers that describe a pair of persistence diagrams: writes nine numbers of H0, thirteen of H1 and
// two of the whole to features[0..24); the other two arguments are scratch. All are 0 where there are no
// bars.
void summarise(const persistence::Diagrams& diagrams, std::vector<double>& lifetimes,
               std::vector<double>& sorted_lifetimes, float* features);

}  // namespace patchtst_har::topology
