#include "persistence/reduction.hpp"

#include <algorithm>
#include <string>
#include <tuple>

#include "persistence/rips.hpp"

namespace patchtst_har::persistence {

namespace {

// In place of its ends: what became of an edge with an empty lune.
constexpr std::uint32_t kJoins = 0xFFFFFFFF;
constexpr std::uint32_t kOpens = 0x80000000;  // and the number of the cycle
constexpr std::uint32_t kNoColumn = 0xFFFFFFFF;

void mark(Edge& edge, std::uint32_t fate) {
    edge = (edge >> 32U) << 32U | fate;
}

std::uint32_t root_of(std::vector<std::uint32_t>& parent, std::uint32_t vertex) {
    while (parent[vertex] != vertex) {
        parent[vertex] = parent[parent[vertex]];
        vertex = parent[vertex];
    }
    return vertex;
}

// A chain of edges over Z/2 as a bit set over their ranks, read from the youngest to the oldest.
class Chain {
  public:
    explicit Chain(std::uint64_t* words) : words_(words) {}

    void toggle(std::uint32_t rank) { words_[rank / 64] ^= std::uint64_t{1} << (rank % 64); }

    // Starts at `rank`, the youngest edge that will ever be in it.
    void start_at(std::uint32_t rank) { word_ = rank / 64; }

    // Takes the youngest edge out of the chain; false if it is empty. Only older ones may be toggled then.
    bool pop(std::uint32_t& rank) {
        while (words_[word_] == 0) {
            if (word_ == 0) return false;
            --word_;
        }
        const auto bit = 63U - static_cast<std::uint32_t>(__builtin_clzll(words_[word_]));
        words_[word_] ^= std::uint64_t{1} << bit;
        rank = static_cast<std::uint32_t>(word_) * 64 + bit;
        return true;
    }

  private:
    std::uint64_t* words_;
    std::size_t word_ = 0;
};

class Reduction {
  public:
    Reduction(std::size_t n, Workspace& workspace)
        : n_(n), memory_(workspace), chain_(workspace.chain.data()) {}

    void add(const Saddle& saddle) {
        const Edge edge = memory_.edges[saddle.rank];
        chain_.start_at(saddle.rank);
        chain_.toggle(saddle.rank);
        chain_.toggle(rank_of(first_end(edge), saddle.apex));
        chain_.toggle(rank_of(second_end(edge), saddle.apex));
        reduce(edge);
    }

  private:
    [[nodiscard]] std::uint32_t link(std::uint32_t a, std::uint32_t b) const {
        return memory_.links[std::min(a, b) * n_ + std::max(a, b)];
    }
    [[nodiscard]] std::uint32_t rank_of(std::uint32_t a, std::uint32_t b) const {
        return link(a, b) >> kVertexBits;
    }

    // Replaces every edge by the two that form its first triangle, and every cycle that has ended by the
    // older ones that it was found equal to. The youngest cycle that is left ends with the saddle over
    // `edge`.
    void reduce(Edge edge) {
        std::uint32_t rank;
        std::size_t start = 0;
        auto& pool = memory_.column_pool;
        while (chain_.pop(rank)) {
            const Edge popped = memory_.edges[rank];
            const auto ends = static_cast<std::uint32_t>(popped);
            if (ends < kOpens) {
                const std::uint32_t a = first_end(popped);
                const std::uint32_t b = second_end(popped);
                const std::uint32_t hub = link(a, b) & kVertexMask;
                chain_.toggle(rank_of(a, hub));
                chain_.toggle(rank_of(b, hub));
            } else if (ends != kJoins) {
                if (start != 0) {
                    append(rank);
                    continue;
                }
                const std::uint32_t cycle = ends - kOpens;
                const std::uint32_t column = memory_.column_start[cycle];
                if (column != kNoColumn) {
                    for (std::size_t i = column + 1; i <= column + pool[column]; ++i) chain_.toggle(pool[i]);
                } else {
                    memory_.column_start[cycle] = static_cast<std::uint32_t>(pool.size());
                    append(0);
                    start = pool.size();
                    close(popped, edge);
                }
            }
        }
        if (start != 0) pool[start - 1] = static_cast<std::uint32_t>(pool.size() - start);
    }

    void append(std::uint32_t entry) {
        if (memory_.column_pool.size() >= memory_.most_column_entries) {
            throw MemoryBoundError("the reduced boundaries exceed their memory bound of " +
                                   std::to_string(sizeof entry * memory_.most_column_entries) + " bytes");
        }
        memory_.column_pool.push_back(entry);
    }

    void close(Edge birth, Edge death) {
        const Bar bar{length_of(birth), length_of(death)};
        if (bar.death > bar.birth) memory_.h1.push_back(bar);
    }

    std::size_t n_;
    Workspace& memory_;
    Chain chain_;
};

}  // namespace

void join_components(std::size_t n, std::size_t n_lonely, Workspace& workspace) {
    workspace.h0.clear();
    workspace.parent.resize(n);
    for (std::size_t i = 0; i < n; ++i) workspace.parent[i] = static_cast<std::uint32_t>(i);
    std::uint32_t n_cycles = 0;
    for (std::size_t i = 0; i < n_lonely; ++i) {
        Edge& edge = workspace.edges[workspace.lonely[i]];
        const std::uint32_t a = root_of(workspace.parent, first_end(edge));
        const std::uint32_t b = root_of(workspace.parent, second_end(edge));
        if (a == b) {
            mark(edge, kOpens + n_cycles++);
            continue;
        }
        workspace.parent[a] = b;
        mark(edge, kJoins);
        if (length_of(edge) > 0.0F) workspace.h0.push_back({0.0F, length_of(edge)});
    }
    workspace.column_start.assign(n_cycles, kNoColumn);
}

void pair_cycles(std::size_t n, std::size_t n_saddles, Workspace& workspace) {
    workspace.h1.clear();
    workspace.column_pool.clear();
    workspace.chain.assign(workspace.n_edges / 64 + 1, 0);
    Reduction reduction(n, workspace);
    for (std::size_t i = 0; i < n_saddles; ++i) reduction.add(workspace.saddles[i]);
    std::sort(workspace.h1.begin(), workspace.h1.end(), [](const Bar& a, const Bar& b) {
        return std::tie(a.birth, a.death) < std::tie(b.birth, b.death);
    });
}

}  // namespace patchtst_har::persistence
