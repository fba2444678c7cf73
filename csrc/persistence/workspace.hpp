// Memory that is reused from cloud to cloud. One workspace serves one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "persistence/complex.hpp"

namespace patchtst_har::persistence {

struct Bar {
    float birth, death;
};

class Workspace {
  public:
    // Of the points, and of the pairs.
    std::vector<std::uint64_t> point_order;
    std::vector<double> coordinates;
    std::vector<float> upper, eccentricity;
    std::vector<std::uint32_t> kept;  // points without their duplicates, the central ones first

    // Of the growing complex.
    std::vector<Edge> edges, spare_edges;
    std::size_t n_edges = 0;
    std::vector<std::uint64_t> neighbours, near, scratch;
    std::vector<std::uint32_t> links, lonely, parent;
    std::vector<Saddle> saddles;

    // Of the reduction.
    std::vector<std::uint64_t> chain;
    std::vector<std::uint32_t> column_pool;
    std::vector<std::uint32_t> column_start;  // of the birth with this number
    std::size_t most_column_entries = std::size_t{8} << 20U;

    std::vector<Bar> h0, h1;
};

}  // namespace patchtst_har::persistence
