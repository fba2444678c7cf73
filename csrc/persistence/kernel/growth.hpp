// Adds edges to the complex in the order of the filtration, and finds the few that matter to its homology.
//
// An edge with an empty lune joins two components or opens a cycle. Any other edge closes a triangle the
// moment it comes, with a vertex of its lune, the hub: that pair has no lifetime. A further triangle over
// the same edge adds nothing new if its apex is connected to the hub inside the lune, because the tetrahedra
// along the way fill the difference with earlier triangles. So one triangle, a saddle, for each further
// component of the lune is enough, and nearly all lunes have one component.
#pragma once

#include <cstddef>
#include <cstdint>

#include "persistence/complex.hpp"
#include "persistence/kernel/rows.hpp"

namespace patchtst_har::persistence {
namespace {

constexpr auto kNoVertex = static_cast<std::uint32_t>(kMostPoints);

// The bit sets of one lune, rows of Growth::scratch.
struct Lune {
    std::size_t n_words;
    const Word* neighbours;
    Word *all, *seen, *rest, *component;

    [[nodiscard]] const Word* row(std::uint32_t vertex) const { return neighbours + vertex * n_words; }
};

// Adds to the component what a vertex of it sees of the lune; tells whether this meets what was seen before.
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
__attribute__((noinline)) void find_saddles(Growth& growth, std::uint32_t a, std::uint32_t b,
                                            std::uint32_t hub) {
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
            growth.saddles[growth.n_saddles++] = {static_cast<std::uint32_t>(growth.next), vertex};
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
PATCHTST_HAR_INLINE bool is_near(const Word* neighbours, const Row<kWords>& lune, std::uint32_t hub) {
    const Row<kWords> hub_row = Row<kWords>::at(neighbours + hub * kWords);
    const Row<kWords> rest = lune.without(hub_row);
    if (!rest.any()) return true;
    const Row<kWords> seen = lune.common(hub_row);
    Word words[kWords];
    __builtin_memcpy(words, &rest, sizeof words);
    for (std::size_t w = 0; w < kWords; ++w) {
        for (Word bits = words[w]; bits != 0; bits &= bits - 1) {
            const std::size_t vertex = w * kWordBits + lowest_bit(bits);
            if (!seen.common(Row<kWords>::at(neighbours + vertex * kWords)).any()) return false;
        }
    }
    return true;
}

PATCHTST_HAR_INLINE void insert(Word* row, std::uint32_t vertex) {
    row[vertex / kWordBits] |= Word{1} << (vertex % kWordBits);
}

// Whether the next edge might not find room in a list.
bool is_full(const Growth& growth) {
    return growth.n_lonely >= growth.lonely_capacity || growth.n_saddles + growth.n > growth.saddle_capacity;
}

// kWords is 0 where a row has more words than the registers are meant for.
template <std::size_t kWords>
void grow_in(Growth& growth) {
    const std::size_t n_words = kWords != 0 ? kWords : growth.n_words;
    while (growth.next < growth.n_edges) {
        const Edge edge = growth.edges[growth.next];
        const std::uint32_t a = first_end(edge);
        const std::uint32_t b = second_end(edge);
        Word* row_a = growth.neighbours + a * n_words;
        Word* row_b = growth.neighbours + b * n_words;
        const std::uint32_t hub = first_vertex(n_words, [&](std::size_t w) { return row_a[w] & row_b[w]; });
        const auto rank = static_cast<std::uint32_t>(growth.next);
        growth.links[a * growth.n + b] = rank << kVertexBits | (hub == kNoVertex ? a : hub);
        bool simple = true;
        if (hub == kNoVertex) {
            growth.lonely[growth.n_lonely++] = rank;
            simple = growth.n_lonely < growth.lonely_capacity;
        } else {
            if constexpr (kWords != 0) {
                const auto lune = Row<kWords>::at(row_a).common(Row<kWords>::at(row_b));
                simple = is_near<kWords>(growth.neighbours, lune, hub);
            } else {
                simple = false;
            }
            if (!simple) find_saddles(growth, a, b, hub);
        }
        insert(row_a, b);
        insert(row_b, a);
        ++growth.next;
        if (!simple && is_full(growth)) return;
    }
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
