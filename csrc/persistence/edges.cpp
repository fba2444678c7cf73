#include "persistence/edges.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace patchtst_har::persistence {

namespace {

constexpr unsigned kLengthShift = 32;
constexpr unsigned kMostDigitBits = 11;
constexpr std::size_t kMovesAnEdge = 4;

std::size_t select_edges(std::size_t n, float limit, const float* upper, Edge* edges) {
    std::size_t n_edges = 0;
    for (std::size_t a = 0; a < n; ++a) {
        for (std::size_t b = a + 1; b < n; ++b) {
            const float length = *upper++;
            std::uint32_t bits;
            std::memcpy(&bits, &length, sizeof bits);
            // Written in any case and kept if it is short enough: no branch to mispredict.
            edges[n_edges] = Edge{bits} << kLengthShift | a << 16U | b;
            n_edges += length <= limit ? 1 : 0;
        }
    }
    return n_edges;
}

// Places the edges by a prefix of their lengths' bits, counted down from the longest: shorter ones than the
// prefix can tell apart share its lowest value.
class Digits {
  public:
    Digits(float longest, std::size_t n_edges) {
        while ((n_edges >> digit_bits_) != 0 && digit_bits_ < 2 * kMostDigitBits) ++digit_bits_;
        digit_bits_ = std::min((digit_bits_ + kSpareBits) / 2, kMostDigitBits);
        std::uint32_t bits;
        std::memcpy(&bits, &longest, sizeof bits);
        drop_ = kSpanBits - 2 * digit_bits_;
        base_ = std::max(std::int64_t{bits} - kSpan + 1, std::int64_t{0});
    }

    [[nodiscard]] std::size_t n_values() const { return std::size_t{1} << digit_bits_; }

    [[nodiscard]] std::size_t low(Edge edge) const { return prefix(edge) & (n_values() - 1); }
    [[nodiscard]] std::size_t high(Edge edge) const { return prefix(edge) >> digit_bits_; }

  private:
    static constexpr unsigned kSpareBits = 5;
    static constexpr std::int64_t kSpan = 0x4000000;
    static constexpr unsigned kSpanBits = 26;  // eight binades: the longest and 1/256 of it

    [[nodiscard]] std::size_t prefix(Edge edge) const {
        const auto above = static_cast<std::int64_t>(edge >> kLengthShift) - base_;
        return static_cast<std::size_t>(std::max(above, std::int64_t{0})) >> drop_;
    }

    unsigned digit_bits_ = 0, drop_;
    std::int64_t base_;
};

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
    for (std::size_t i = 1; i < n_edges; ++i) {
        const Edge edge = edges[i];
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

// Two stable passes over the digits leave little to mend, except where lengths hardly differ or by far more
// than usual; then the edges are sorted by comparing them.
void sort_edges(Edge* edges, Edge* spare, std::size_t n_edges, float longest) {
    const Digits digits(longest, n_edges);
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
    for (std::size_t i = 0; i < n_edges; ++i) edges[high[digits.high(spare[i])]++] = spare[i];
    if (!insertion_sort(edges, n_edges)) std::sort(edges, edges + n_edges);
}

}  // namespace

void collect_edges(std::size_t n, float limit, Workspace& workspace) {
    const std::size_t n_pairs = n * (n - 1) / 2;
    workspace.edges.resize(n_pairs + 1);
    workspace.spare_edges.resize(n_pairs + 1);
    const std::size_t n_edges = select_edges(n, limit, workspace.upper.data(), workspace.edges.data());
    workspace.n_edges = n_edges;
    sort_edges(workspace.edges.data(), workspace.spare_edges.data(), n_edges, limit);
}

}  // namespace patchtst_har::persistence
