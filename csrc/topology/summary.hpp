// The 24 numbers that describe a pair of persistence diagrams.
#pragma once

#include <vector>

#include "persistence/rips.hpp"

namespace patchtst_har::topology {

// Writes nine numbers of H0, thirteen of H1 and two of the whole to features[0..24); the other two arguments
// are scratch. All are 0 where there are no bars.
void summarise(const persistence::Diagrams& diagrams, std::vector<double>& lifetimes,
               std::vector<double>& sorted_lifetimes, float* features);

}  // namespace patchtst_har::topology
