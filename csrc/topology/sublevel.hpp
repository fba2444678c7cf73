// Persistence of the sublevel sets of a series.
#pragma once

#include <cstddef>
#include <vector>

#include "persistence/rips.hpp"

namespace patchtst_har::topology {

// Replaces `bars` by the finite bars of the connected components of {i : series[i] <= level} as the level
// rises, sorted by birth and death, those of length 0 left out: a valley is born at its bottom and dies where
// it joins a deeper one. `order` and `parents` are scratch.
void sublevel_bars(const std::vector<float>& series, std::vector<std::size_t>& order,
                   std::vector<std::size_t>& parents, std::vector<persistence::Bar>& bars);

}  // namespace patchtst_har::topology
