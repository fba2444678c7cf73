// Bit sets of vertices as registers.
#pragma once

#include "persistence/kernels.hpp"
#include "simd/block.hpp"

namespace patchtst_har::persistence {
namespace {

using namespace simd;

using Word = std::uint64_t;

constexpr std::size_t kWordBits = 64;

// A row of kWords words.
template <std::size_t kWords>
using Row = Block<Word, kWords>;

template <std::size_t kWords>
PATCHTST_HAR_INLINE Row<kWords> operator&(const Row<kWords>& a, const Row<kWords>& b) {
    return each([](auto p, auto q) { return p & q; }, a, b);
}

template <std::size_t kWords>
PATCHTST_HAR_INLINE Row<kWords> without(const Row<kWords>& a, const Row<kWords>& b) {
    return each([](auto p, auto q) { return p & ~q; }, a, b);
}

// Bit w is set if word w is not 0.
template <std::size_t kWords>
PATCHTST_HAR_INLINE unsigned nonzero_words(const Row<kWords>& row) {
    unsigned found = 0;
    for (std::size_t i = 0; i < row.kParts; ++i) {
        found |= bits_of_nonzero(row.part[i]) << (i * row.kPartLanes);
    }
    return found;
}

template <std::size_t kWords>
PATCHTST_HAR_INLINE bool is_empty(const Row<kWords>& row) {
    auto found = row.part[0];
    for (std::size_t i = 1; i < row.kParts; ++i) found |= row.part[i];
    return !any_bit(found);
}

PATCHTST_HAR_INLINE std::uint32_t lowest_bit(Word word) {
    return static_cast<std::uint32_t>(__builtin_ctzll(word));
}

// The first vertex of a set of n_words words, or kMostPoints; word(w) gives its words.
template <typename WordAt>
PATCHTST_HAR_INLINE std::uint32_t first_vertex(std::size_t n_words, WordAt word) {
    for (std::size_t w = 0; w < n_words; ++w) {
        const Word bits = word(w);
        if (bits != 0) return static_cast<std::uint32_t>(w * kWordBits) + lowest_bit(bits);
    }
    return static_cast<std::uint32_t>(kMostPoints);
}

}  // namespace
}  // namespace patchtst_har::persistence
