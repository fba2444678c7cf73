// Vietoris-Rips persistence over Z/2 in dimensions 0 and 1.
#pragma once

#include <cstddef>
#include <stdexcept>

#include "persistence/workspace.hpp"

namespace patchtst_har::persistence {

// The finite bars of positive length, sorted by birth and death; valid until the workspace is used again.
struct Diagrams {
    const Bar* h0;
    std::size_t n_h0;
    const Bar* h1;
    std::size_t n_h1;
    float enclosing_radius;
};

// Thrown before the memory would exceed its bound.
struct MemoryBoundError : std::length_error {
    using std::length_error::length_error;
};

// `points` is n x dimension, row major, float or double; coincident points are allowed, n at most
// kMostPoints.
template <typename Real>
Diagrams rips_of_points(const Real* points, std::size_t n, std::size_t dimension, float max_edge,
                        Workspace& workspace);

// `distances` is n x n, row major; only what is above the diagonal is read.
Diagrams rips_of_distances(const float* distances, std::size_t n, float max_edge, Workspace& workspace);

}  // namespace patchtst_har::persistence
