// From the edges and triangles that matter to the bars.
#pragma once

#include <cstddef>
#include <cstdint>

#include "persistence/workspace.hpp"

namespace patchtst_har::persistence {

// Reduces the boundaries of saddles to open cycles. Lonely edges and saddles may come in portions, each in
// the order of the filtration and every lonely edge before the saddles that follow it.
class Reduction {
  public:
    Reduction(std::size_t n, Workspace& workspace);

    // Takes workspace.lonely[0..n_lonely): an edge with an empty lune joins two components, which ends a bar
    // of H0, or opens a cycle. Marks which in workspace.edges.
    void join_components(std::size_t n_lonely);

    // Takes workspace.saddles[0..n_saddles): each ends the youngest cycle in its boundary, if any.
    void pair_cycles(std::size_t n_saddles);

    // Sorts the bars of H1.
    void finish();

    // Cycles that no saddle has ended yet.
    [[nodiscard]] std::size_t n_open() const { return n_open_; }

  private:
    [[nodiscard]] std::uint32_t link(std::uint32_t a, std::uint32_t b) const;
    [[nodiscard]] std::uint32_t rank_of(std::uint32_t a, std::uint32_t b) const;
    void express_in_cycles();
    void add_boundary(Edge edge);
    void end_youngest(float death);
    [[nodiscard]] Column keep_column();
    void append(std::uint32_t entry);

    std::size_t n_;
    Workspace& memory_;
    std::size_t n_open_ = 0;
};

}  // namespace patchtst_har::persistence
