// Adds edges to the complex in the order of the filtration, and finds the few that matter to its homology.
//
// An edge with an empty lune joins two components or opens a cycle. Any other edge closes a triangle the
// moment it comes, with a vertex of its lune, the hub: that pair has no lifetime. A further triangle over
// the same edge adds nothing new if its apex is connected to the hub inside the lune, because the tetrahedra
// along the way fill the difference with earlier triangles. So one triangle, a saddle, for each further
// component of the lune is enough, and nearly all lunes have one component.
#pragma once

#include "persistence/kernel/rows.hpp"

namespace patchtst_har::persistence {
namespace {

constexpr auto kNoVertex = static_cast<std::uint32_t>(kMostPoints);

// Whether good hubs are worth their search: not in small clouds, where any hub sees most of a lune.
template <std::size_t kWords>
constexpr bool kFollows = kWords > 2 || kWords == 0;

// The bit sets of one lune, rows of Growth::scratch.
struct Lune {
    std::size_t n_words;
    const Word* neighbours;
    Word *all, *seen, *rest, *component;

    [[nodiscard]] const Word* row(std::uint32_t vertex) const { return neighbours + vertex * n_words; }
};

// Adds to the component what a vertex of it sees of the lune; true if this meets what was seen before.
bool expand(const Lune& lune, std::uint32_t vertex) {
    const Word* row = lune.row(vertex);
    Word met = 0;
    for (std::size_t w = 0; w < lune.n_words; ++w) {
        const Word visible = lune.all[w] & row[w];
        lune.component[w] |= visible;
        met |= visible & lune.seen[w];
    }
    return met != 0;
}

// Grows the component of `start` until it meets what was seen before (true) or is complete (false).
// `rest` loses the vertices that were expanded.
bool joins_seen(const Lune& lune, std::uint32_t start) {
    for (std::size_t w = 0; w < lune.n_words; ++w) lune.component[w] = 0;
    for (std::uint32_t vertex = start; vertex != kNoVertex;) {
        lune.rest[vertex / kWordBits] &= ~(Word{1} << (vertex % kWordBits));
        if (expand(lune, vertex)) return true;
        vertex = first_vertex(lune.n_words, [&](std::size_t w) { return lune.component[w] & lune.rest[w]; });
    }
    return false;
}

// Writes a saddle for each component of the lune of {a, b} that does not hold the hub.
void find_saddles(Growth& growth, std::uint32_t rank, std::uint32_t a, std::uint32_t b, std::uint32_t hub) {
    const std::size_t n_words = growth.n_words;
    Word* scratch = growth.scratch;
    const Lune lune{n_words,           growth.neighbours,     scratch,
                    scratch + n_words, scratch + 2 * n_words, scratch + 3 * n_words};
    for (std::size_t w = 0; w < n_words; ++w) {
        lune.all[w] = lune.row(a)[w] & lune.row(b)[w];
        lune.seen[w] = lune.all[w] & lune.row(hub)[w];
        lune.rest[w] = lune.all[w] & ~lune.row(hub)[w];
    }
    const auto next = [&] { return first_vertex(n_words, [&](std::size_t w) { return lune.rest[w]; }); };
    for (std::uint32_t vertex = next(); vertex != kNoVertex; vertex = next()) {
        if (!joins_seen(lune, vertex)) {
            growth.saddles[growth.n_saddles++] = {rank, vertex};
        }
        for (std::size_t w = 0; w < n_words; ++w) {
            lune.seen[w] |= lune.component[w];
            lune.rest[w] &= ~lune.component[w];
        }
    }
}

// Whether each vertex of the lune is joined to the hub, or to a vertex of the lune that is. Few lunes that
// have one component fail this.
template <std::size_t kWords>
PATCHTST_HAR_INLINE bool is_star_like(const Word* neighbours, std::uint32_t a, std::uint32_t b,
                                      std::uint32_t hub) {
    if (hub == kNoVertex) return false;
    const auto row_of = [=](std::size_t vertex) { return Row<kWords>::at(neighbours + vertex * kWords); };
    const Row<kWords> lune = row_of(a) & row_of(b);
    const Row<kWords> hub_row = row_of(hub);
    const Row<kWords> rest = without(lune, hub_row);
    unsigned words_left = nonzero_words(rest);
    if (words_left == 0) return true;
    const Row<kWords> seen = lune & hub_row;
    Word words[kWords];
    rest.to(words);
    for (; words_left != 0; words_left &= words_left - 1) {
        const std::uint32_t w = lowest_bit(words_left);
        for (Word bits = words[w]; bits != 0; bits &= bits - 1) {
            const std::size_t vertex = w * kWordBits + lowest_bit(bits);
            if (is_empty(seen & row_of(vertex))) return false;
        }
    }
    return true;
}

PATCHTST_HAR_INLINE void join(Word* rows, std::size_t n_words, std::uint32_t a, std::uint32_t b) {
    rows[a * n_words + b / kWordBits] |= Word{1} << (b % kWordBits);
    rows[b * n_words + a / kWordBits] |= Word{1} << (a % kWordBits);
}

// Vertices not much further from both ends than half the edge lie about its middle: as a hub, they see most
// of the lune. 5/8 did best among 0.55 to 0.8. Brought up to date now and then, and without the few edges
// that the reduction has marked meanwhile: any vertex of the lune will do.
PATCHTST_HAR_INLINE void follow(Growth& growth, std::size_t n_words, float length) {
    constexpr float kNear = 0.625F;
    const float limit = kNear * length;
    while (length_of(growth.edges[growth.next_near]) < limit) {
        const Edge edge = growth.edges[growth.next_near++];
        if (has_ends(edge)) join(growth.near, n_words, first_end(edge), second_end(edge));
    }
}

template <std::size_t kWords>
PATCHTST_HAR_INLINE std::uint32_t first_common(const Word* rows, std::size_t n_words, std::uint32_t a,
                                               std::uint32_t b) {
    const Word* row_a = rows + a * n_words;
    const Word* row_b = rows + b * n_words;
    if constexpr (kWords > 2 && kRegisterBytes > 16) {
        const unsigned words = nonzero_words(Row<kWords>::at(row_a) & Row<kWords>::at(row_b));
        if (words == 0) return kNoVertex;
        const std::uint32_t w = lowest_bit(words);
        return w * static_cast<std::uint32_t>(kWordBits) + lowest_bit(row_a[w] & row_b[w]);
    }
    return first_vertex(n_words, [&](std::size_t w) { return row_a[w] & row_b[w]; });
}

template <std::size_t kWords>
PATCHTST_HAR_INLINE std::uint32_t hub_of(const Word* near, const Word* neighbours, std::size_t n_words,
                                         std::uint32_t a, std::uint32_t b) {
    if constexpr (kFollows<kWords>) {
        const std::uint32_t hub = first_common<kWords>(near, n_words, a, b);
        if (hub != kNoVertex) return hub;
    }
    return first_common<kWords>(neighbours, n_words, a, b);
}

// An edge that matters, or may.
PATCHTST_HAR_STAGE void note(Growth& growth, std::uint32_t rank, std::uint32_t a, std::uint32_t b,
                             std::uint32_t hub) {
    if (hub == kNoVertex) {
        growth.lonely[growth.n_lonely++] = rank;
        ++growth.n_open;
    } else {
        find_saddles(growth, rank, a, b, hub);
    }
}

// Whether the next edge might not find room in a list.
bool is_full(const Growth& growth) {
    return growth.n_lonely >= growth.lonely_capacity || growth.n_saddles + growth.n > growth.saddle_capacity;
}

// Where to let the reduction look how many cycles are still open: beyond the last of them, which is before
// half of the edges of most clouds, lunes need not be looked at.
std::size_t end_of_portion(const Growth& growth) {
    constexpr std::size_t kEdgesAVertex = 2;
    const std::size_t stop = growth.next + kEdgesAVertex * growth.n;
    return stop < growth.n_edges ? stop : growth.n_edges;
}

// kWords is 0 where a row has more words than the registers are meant for.
template <std::size_t kWords>
void grow_in(Growth& growth) {
    constexpr std::size_t kFollowEvery = 16;
    const std::size_t n_words = kWords != 0 ? kWords : growth.n_words;
    const std::size_t stop = end_of_portion(growth);
    const std::size_t n = growth.n;
    const Edge* edges = growth.edges;
    std::uint32_t* links = growth.links;
    Word* neighbours = growth.neighbours;
    for (std::size_t rank = growth.next; rank < stop; ++rank) {
        const Edge edge = edges[rank];
        if (kFollows<kWords> && rank % kFollowEvery == 0) follow(growth, n_words, length_of(edge));
        const std::uint32_t a = first_end(edge);
        const std::uint32_t b = second_end(edge);
        const std::uint32_t hub = hub_of<kWords>(growth.near, neighbours, n_words, a, b);
        links[a * n + b] = static_cast<std::uint32_t>(rank) << kVertexBits | (hub == kNoVertex ? a : hub);
        bool simple = growth.n_open == 0 && hub != kNoVertex;
        if constexpr (kWords != 0) simple = simple || is_star_like<kWords>(neighbours, a, b, hub);
        if (!simple) note(growth, static_cast<std::uint32_t>(rank), a, b, hub);
        join(neighbours, n_words, a, b);
        if (!simple && is_full(growth)) {
            growth.next = rank + 1;
            return;
        }
    }
    growth.next = stop;
}

void grow(Growth& growth) {
    switch (growth.n_words) {
        case 1:
            return grow_in<1>(growth);
        case 2:
            return grow_in<2>(growth);
        case 4:
            return grow_in<4>(growth);
        case 8:
            return grow_in<8>(growth);
        default:
            return grow_in<0>(growth);
    }
}

}  // namespace
}  // namespace patchtst_har::persistence
