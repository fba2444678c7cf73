// Memory that is reused from cloud to cloud. One workspace serves one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "persistence/chain.hpp"
#include "persistence/kernels.hpp"

namespace patchtst_har::persistence {

struct Bar {
    float birth, death;
};

// Older cycles whose sum an ended cycle is equal to: their numbers, or, if these are many, a bit set.
struct Column {
    std::uint32_t start, size;
    bool is_open, is_dense;
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
    SparseChain edge_chain;  // of ranks
    DenseChain cycle_chain;  // of the numbers of cycles
    std::vector<std::uint32_t> column_pool;
    std::vector<Column> columns;  // of the cycle with this number
    std::vector<float> cycle_birth;
    std::size_t most_column_entries = std::size_t{8} << 20U;

    std::vector<Bar> h0, h1;
};

}  // namespace patchtst_har::persistence
