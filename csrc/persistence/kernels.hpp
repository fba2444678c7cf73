// The kernels of one instruction set, and what the host passes to them: plain data, so that a per-ISA unit
// contains no code but its own. Every set gives the same bits.
#pragma once

#include <cstddef>
#include <cstdint>

namespace patchtst_har::persistence {

inline constexpr std::size_t kMostPoints = 2048;
// A link packs the rank of an edge, below 2048 * 2047 / 2 < 2^21, and a vertex.
inline constexpr std::uint32_t kVertexBits = 11;
inline constexpr std::uint32_t kVertexMask = (1U << kVertexBits) - 1;

// An edge {a, b}, a < b, as one number: its length's bits, then a, then b. Lengths are not negative, so that
// these numbers have the order of the filtration, ties included.
using Edge = std::uint64_t;

// What the reduction writes in place of the ends of an edge with an empty lune: what became of it.
inline constexpr std::uint32_t kJoins = 0xFFFFFFFF;
inline constexpr std::uint32_t kOpens = 0x80000000;  // and the number of the cycle

// Static: the linker could otherwise pick one instruction set's copy for all of them.
static inline bool has_ends(Edge edge) {
    return static_cast<std::uint32_t>(edge) < kOpens;
}
static inline std::uint32_t first_end(Edge edge) {
    return static_cast<std::uint32_t>(edge >> 16U) & 0xFFFFU;
}
static inline std::uint32_t second_end(Edge edge) {
    return static_cast<std::uint32_t>(edge) & 0xFFFFU;
}
static inline float length_of(Edge edge) {
    const auto bits = static_cast<std::uint32_t>(edge >> 32U);
    float length;
    __builtin_memcpy(&length, &bits, sizeof length);
    return length;
}

// Distances of all pairs, row i holding those to j > i, without gaps.
struct Distances {
    float* upper;         // n (n - 1) / 2, and a vector more
    float* eccentricity;  // the largest distance from each point; n, and a vector more
};

// Points as columns of coordinates, padded to whole vectors.
struct Points {
    std::size_t n, dimension, stride;
    const double* coordinates;  // of axis c at c * stride
};

// A triangle that may end a class: an edge, and a vertex of a further component of its lune.
struct Saddle {
    std::uint32_t rank, apex;
};

// The complex grows by one edge at a time, in the order of the filtration. The lune of an edge is the set of
// vertices that are joined to both its ends by earlier edges.
struct Growth {
    std::size_t n, n_words;     // words of a row of `neighbours`
    std::uint64_t* neighbours;  // a bit set a vertex; every vertex is its own neighbour
    std::uint64_t* near;        // the same without the edges much longer than half the present one
    std::uint64_t* scratch;     // 4 rows
    const Edge* edges;
    std::size_t n_edges, next, next_near;
    // Of edge {a, b} at a n + b: its rank, then a vertex of its lune, or a if the lune is empty.
    std::uint32_t* links;
    std::uint32_t* lonely;  // ranks of the edges whose lune is empty
    std::size_t n_lonely, lonely_capacity;
    Saddle* saddles;
    std::size_t n_saddles, saddle_capacity;
    // Cycles that are open, or may be: while there is none, no saddle matters.
    std::size_t n_open;
};

struct Kernels {
    // Fills `distances` with the Euclidean ones, computed in float64 and rounded to float32.
    void (*measure)(const Points& points, const Distances& distances);
    // Adds edges until all are in or a list might overflow.
    void (*grow)(Growth& growth);
};

// One a unit; see cpu/isa.hpp.
extern const Kernels kBaselineKernels, kAvx2Kernels, kAvx512Kernels;

// Those of the active instruction set.
const Kernels& active_kernels();

}  // namespace patchtst_har::persistence
