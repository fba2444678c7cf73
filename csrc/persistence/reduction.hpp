// From the edges and triangles that matter to the bars.
#pragma once

#include <cstddef>

#include "persistence/workspace.hpp"

namespace patchtst_har::persistence {

// Fills workspace.h0: the edges with an empty lune either join two components or give birth to a cycle.
// Marks both kinds in workspace.edges.
void join_components(std::size_t n, std::size_t n_lonely, Workspace& workspace);

// Fills workspace.h1, sorted: the saddles, in their order, each end the youngest cycle in their boundary.
void pair_cycles(std::size_t n, std::size_t n_saddles, Workspace& workspace);

}  // namespace patchtst_har::persistence
