#include "persistence/reduction.hpp"

#include <algorithm>
#include <string>
#include <tuple>

#include "persistence/rips.hpp"

namespace patchtst_har::persistence {

namespace {

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

}  // namespace

Reduction::Reduction(std::size_t n, Workspace& workspace) : n_(n), memory_(workspace) {
    memory_.h0.clear();
    memory_.h1.clear();
    memory_.column_pool.clear();
    memory_.column_start.clear();
    // A chain of edges over Z/2 as a bit set over their ranks, read from the youngest to the oldest.
    memory_.chain.assign(memory_.n_edges / 64 + 1, 0);
    memory_.parent.resize(n);
    for (std::size_t i = 0; i < n; ++i) memory_.parent[i] = static_cast<std::uint32_t>(i);
}

void Reduction::join_components(std::size_t n_lonely) {
    for (std::size_t i = 0; i < n_lonely; ++i) {
        Edge& edge = memory_.edges[memory_.lonely[i]];
        const std::uint32_t a = root_of(memory_.parent, first_end(edge));
        const std::uint32_t b = root_of(memory_.parent, second_end(edge));
        if (a == b) {
            mark(edge, kOpens + static_cast<std::uint32_t>(memory_.column_start.size()));
            memory_.column_start.push_back(kNoColumn);
            ++n_open_;
            continue;
        }
        memory_.parent[a] = b;
        mark(edge, kJoins);
        if (length_of(edge) > 0.0F) memory_.h0.push_back({0.0F, length_of(edge)});
    }
}

void Reduction::pair_cycles(std::size_t n_saddles) {
    // Where no cycle is open, a boundary reduces to nothing.
    for (std::size_t i = 0; i < n_saddles && n_open_ > 0; ++i) {
        const Saddle saddle = memory_.saddles[i];
        const Edge edge = memory_.edges[saddle.rank];
        word_ = saddle.rank / 64;
        toggle(saddle.rank);
        toggle(rank_of(first_end(edge), saddle.apex));
        toggle(rank_of(second_end(edge), saddle.apex));
        reduce(edge);
    }
}

void Reduction::finish() {
    std::sort(memory_.h1.begin(), memory_.h1.end(), [](const Bar& a, const Bar& b) {
        return std::tie(a.birth, a.death) < std::tie(b.birth, b.death);
    });
}

std::uint32_t Reduction::link(std::uint32_t a, std::uint32_t b) const {
    return memory_.links[std::min(a, b) * n_ + std::max(a, b)];
}

std::uint32_t Reduction::rank_of(std::uint32_t a, std::uint32_t b) const {
    return link(a, b) >> kVertexBits;
}

// Replaces every edge by the two that form its first triangle, and every cycle that has ended by the older
// ones that it was found equal to. The youngest cycle that is left ends with the saddle over `edge`; what is
// older is kept as its column.
void Reduction::reduce(Edge edge) {
    const auto& pool = memory_.column_pool;
    std::uint32_t rank;
    std::size_t start = 0;
    while (pop_youngest(rank)) {
        const Edge popped = memory_.edges[rank];
        const auto ends = static_cast<std::uint32_t>(popped);
        if (has_ends(popped)) {
            add_boundary(popped);
        } else if (ends != kJoins && start != 0) {
            append(rank);
        } else if (ends != kJoins) {
            const std::uint32_t column = memory_.column_start[ends - kOpens];
            if (column != kNoColumn) {
                for (std::size_t i = column + 1; i <= column + pool[column]; ++i) toggle(pool[i]);
                continue;
            }
            memory_.column_start[ends - kOpens] = static_cast<std::uint32_t>(pool.size());
            append(0);
            start = pool.size();
            close(popped, edge);
        }
    }
    if (start != 0) memory_.column_pool[start - 1] = static_cast<std::uint32_t>(pool.size() - start);
}

// The other two edges of the triangle that an edge closed when it came.
void Reduction::add_boundary(Edge edge) {
    const std::uint32_t a = first_end(edge);
    const std::uint32_t b = second_end(edge);
    const std::uint32_t hub = link(a, b) & kVertexMask;
    toggle(rank_of(a, hub));
    toggle(rank_of(b, hub));
}

void Reduction::append(std::uint32_t entry) {
    auto& pool = memory_.column_pool;
    if (pool.size() >= memory_.most_column_entries) {
        throw MemoryBoundError("the reduced boundaries exceed their memory bound of " +
                               std::to_string(sizeof entry * memory_.most_column_entries) + " bytes");
    }
    if (pool.size() == pool.capacity()) {
        pool.reserve(std::min(std::max(2 * pool.size(), std::size_t{1024}), memory_.most_column_entries));
    }
    pool.push_back(entry);
}

void Reduction::close(Edge birth, Edge death) {
    --n_open_;
    const Bar bar{length_of(birth), length_of(death)};
    if (bar.death > bar.birth) memory_.h1.push_back(bar);
}

// Takes the youngest edge out of the chain; false if it is empty. Only older ones are toggled afterwards.
bool Reduction::pop_youngest(std::uint32_t& rank) {
    while (memory_.chain[word_] == 0) {
        if (word_ == 0) return false;
        --word_;
    }
    const auto bit = 63U - static_cast<std::uint32_t>(__builtin_clzll(memory_.chain[word_]));
    rank = static_cast<std::uint32_t>(word_) * 64 + bit;
    toggle(rank);
    return true;
}

}  // namespace patchtst_har::persistence
