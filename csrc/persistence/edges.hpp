// The edges of a filtration, in its order.
#pragma once

#include <cstddef>

#include "persistence/workspace.hpp"

namespace patchtst_har::persistence {

// Fills workspace.edges with the pairs of `n` points that are at most `limit` apart, sorted by length and
// then by their vertices, from workspace.upper.
void collect_edges(std::size_t n, float limit, Workspace& workspace);

}  // namespace patchtst_har::persistence
