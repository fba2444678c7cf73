#include "persistence/edges.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace patchtst_har::persistence {

namespace {

constexpr unsigned kLengthShift = 32;
constexpr unsigned kMostDigitBits = 11;
constexpr unsigned kSpareBits = 5;
constexpr std::size_t kMovesAnEdge = 4;

unsigned bit_length(std::uint64_t value) {
    return value == 0 ? 0 : 64U - static_cast<unsigned>(__builtin_clzll(value));
}

std::uint32_t bits_of(float length) {
    std::uint32_t bits;
    std::memcpy(&bits, &length, sizeof bits);
    return bits;
}

// The two digits of a length above the shortest one that order most edges: so many bits that few share them.
struct Digits {
    std::uint64_t base;
    unsigned n_bits, drop;

    Digits(float shortest, float longest, std::size_t n_pairs) : base(bits_of(shortest)) {
        const unsigned span = bit_length(bits_of(longest) - base);
        n_bits = std::min({kMostDigitBits, (bit_length(n_pairs) + kSpareBits) / 2, (span + 1) / 2});
        drop = kLengthShift + span - std::min(span, 2 * n_bits);
    }

    [[nodiscard]] std::size_t n_values() const { return std::size_t{1} << n_bits; }
    // Of an edge whose length's bits count from the base.
    [[nodiscard]] std::size_t low(Edge edge) const { return (edge >> drop) & (n_values() - 1); }
    [[nodiscard]] std::size_t high(Edge edge) const { return edge >> (drop + n_bits); }
};

// The lengths' bits count from the digits' base.
std::size_t select_edges(std::size_t n, float limit, const Digits& digits, const float* upper, Edge* edges) {
    std::size_t n_edges = 0;
    for (std::size_t a = 0; a < n; ++a) {
        for (std::size_t b = a + 1; b < n; ++b) {
            const float length = *upper++;
            // Written in any case and kept if it is short enough: no branch to mispredict.
            edges[n_edges] = (bits_of(length) - digits.base) << kLengthShift | a << 16U | b;
            n_edges += length <= limit ? 1 : 0;
        }
    }
    return n_edges;
}

// Turns counts into where the values begin.
void accumulate(std::uint32_t* counts, std::size_t n_values) {
    std::uint32_t total = 0;
    for (std::size_t value = 0; value < n_values; ++value) {
        const std::uint32_t count = counts[value];
        counts[value] = total;
        total += count;
    }
}

// Mends an order that is nearly right; false if this takes more than a few moves an edge.
bool insertion_sort(Edge* edges, std::size_t n_edges) {
    std::size_t moves_left = kMovesAnEdge * n_edges;
    Edge before = 0;
    for (std::size_t i = 0; i < n_edges; ++i) {
        const Edge edge = edges[i];
        if (edge >= before) {
            before = edge;
            continue;
        }
        std::size_t place = i;
        while (place > 0 && edge < edges[place - 1]) {
            edges[place] = edges[place - 1];
            --place;
        }
        edges[place] = edge;
        if (i - place > moves_left) return false;
        moves_left -= i - place;
    }
    return true;
}

// Two stable passes over the digits leave little to mend, except where the lengths differ by far more or far
// less than usual; then the edges are sorted by comparing them.
void sort_edges(Edge* edges, Edge* spare, std::size_t n_edges, const Digits& digits) {
    std::array<std::uint32_t, std::size_t{1} << kMostDigitBits> low;
    std::array<std::uint32_t, std::size_t{1} << kMostDigitBits> high;
    std::fill_n(low.begin(), digits.n_values(), 0U);
    std::fill_n(high.begin(), digits.n_values(), 0U);
    for (std::size_t i = 0; i < n_edges; ++i) {
        ++low[digits.low(edges[i])];
        ++high[digits.high(edges[i])];
    }
    accumulate(low.data(), digits.n_values());
    accumulate(high.data(), digits.n_values());
    for (std::size_t i = 0; i < n_edges; ++i) spare[low[digits.low(edges[i])]++] = edges[i];
    const Edge base = digits.base << kLengthShift;
    for (std::size_t i = 0; i < n_edges; ++i) edges[high[digits.high(spare[i])]++] = spare[i] + base;
    if (!insertion_sort(edges, n_edges)) std::sort(edges, edges + n_edges);
}

}  // namespace

void collect_edges(std::size_t n, float limit, Workspace& workspace) {
    const std::size_t n_pairs = n * (n - 1) / 2;
    workspace.edges.resize(n_pairs + 1);
    workspace.spare_edges.resize(n_pairs + 1);
    const float* upper = workspace.upper.data();
    const float shortest = *std::min_element(upper, upper + n_pairs);
    if (!(shortest <= limit)) {
        workspace.n_edges = 0;
        return;
    }
    const Digits digits(shortest, limit, n_pairs);
    workspace.n_edges = select_edges(n, limit, digits, upper, workspace.edges.data());
    sort_edges(workspace.edges.data(), workspace.spare_edges.data(), workspace.n_edges, digits);
}

}  // namespace patchtst_har::persistence
