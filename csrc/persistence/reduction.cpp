#include "persistence/reduction.hpp"

#include <algorithm>
#include <string>
#include <tuple>

#include "persistence/rips.hpp"

namespace patchtst_har::persistence {

namespace {

// A bit set is added to another by the vector, a list of members one by one.
constexpr std::size_t kWordsAMember = 2;
constexpr Column kOpenCycle{0, 0, true, false};

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
    memory_.column_pool.clear();
    memory_.columns.clear();
    memory_.cycle_birth.clear();
    memory_.edge_chain.reset(memory_.n_edges);
    memory_.cycle_chain.reset();
    memory_.parent.resize(n);
    for (std::size_t i = 0; i < n; ++i) memory_.parent[i] = static_cast<std::uint32_t>(i);
}

void Reduction::join_components(std::size_t n_lonely) {
    for (std::size_t i = 0; i < n_lonely; ++i) {
        Edge& edge = memory_.edges[memory_.lonely[i]];
        const std::uint32_t a = root_of(memory_.parent, first_end(edge));
        const std::uint32_t b = root_of(memory_.parent, second_end(edge));
        if (a == b) {
            mark(edge, kOpens + static_cast<std::uint32_t>(memory_.columns.size()));
            memory_.columns.push_back(kOpenCycle);
            memory_.cycle_birth.push_back(length_of(edge));
            ++n_open_;
            continue;
        }
        memory_.parent[a] = b;
        mark(edge, kJoins);
        if (length_of(edge) > 0.0F) memory_.h0.push_back({0.0F, length_of(edge)});
    }
    memory_.cycle_chain.extend(memory_.columns.size());
}

void Reduction::pair_cycles(std::size_t n_saddles) {
    // Where no cycle is open, a boundary reduces to nothing.
    for (std::size_t i = 0; i < n_saddles && n_open_ > 0; ++i) {
        const Saddle saddle = memory_.saddles[i];
        const Edge edge = memory_.edges[saddle.rank];
        memory_.edge_chain.toggle(saddle.rank);
        memory_.edge_chain.toggle(rank_of(first_end(edge), saddle.apex));
        memory_.edge_chain.toggle(rank_of(second_end(edge), saddle.apex));
        express_in_cycles();
        end_youngest(length_of(edge));
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

// Replaces every edge by the two that form its first triangle, until only cycles are left, and edges that
// joined components.
void Reduction::express_in_cycles() {
    std::uint32_t rank;
    while (memory_.edge_chain.pop_youngest(rank)) {
        const Edge edge = memory_.edges[rank];
        const auto fate = static_cast<std::uint32_t>(edge);
        if (has_ends(edge)) {
            add_boundary(edge);
        } else if (fate != kJoins) {
            memory_.cycle_chain.toggle(fate - kOpens);
        }
    }
}

// The other two edges of the triangle that an edge closed when it came.
void Reduction::add_boundary(Edge edge) {
    const std::uint32_t a = first_end(edge);
    const std::uint32_t b = second_end(edge);
    const std::uint32_t hub = link(a, b) & kVertexMask;
    memory_.edge_chain.toggle(rank_of(a, hub));
    memory_.edge_chain.toggle(rank_of(b, hub));
}

// Replaces every cycle that has ended by the older ones that it was found equal to. The youngest that is
// left, if any, ends here.
void Reduction::end_youngest(float death) {
    std::uint32_t cycle;
    while (memory_.cycle_chain.pop_youngest(cycle)) {
        const Column& column = memory_.columns[cycle];
        if (column.is_open) {
            memory_.columns[cycle] = keep_column();
            --n_open_;
            const float birth = memory_.cycle_birth[cycle];
            if (death > birth) memory_.h1.push_back({birth, death});
            return;
        }
        const std::uint32_t* entries = memory_.column_pool.data() + column.start;
        if (column.is_dense) {
            memory_.cycle_chain.add(entries, column.size);
        } else {
            for (std::size_t i = 0; i < column.size; ++i) memory_.cycle_chain.toggle(entries[i]);
        }
    }
}

// Moves the chain of cycles to the pool, in the shorter form.
Column Reduction::keep_column() {
    DenseChain& chain = memory_.cycle_chain;
    auto& pool = memory_.column_pool;
    const auto start = static_cast<std::uint32_t>(pool.size());
    const std::size_t n_words = chain.n_words();
    const std::size_t most_members = n_words / kWordsAMember;
    std::uint32_t member;
    for (std::uint32_t size = 0; size < most_members; ++size) {
        if (!chain.pop_youngest(member)) return {start, size, false, false};
        append(member);
    }
    for (std::size_t i = start; i < pool.size(); ++i) chain.toggle(pool[i]);
    pool.resize(start);
    for (std::size_t w = 0; w < n_words; ++w) append(chain.words()[w]);
    chain.clear();
    return {start, static_cast<std::uint32_t>(n_words), false, true};
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

}  // namespace patchtst_har::persistence
