// Bit sets of vertices as registers.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#define PATCHTST_HAR_INLINE inline __attribute__((always_inline))

namespace patchtst_har::persistence {
namespace {

using Word = std::uint64_t;

constexpr std::size_t kWordBits = 64;

template <std::size_t kWords>
struct RegisterOf;
template <>
struct RegisterOf<1> {
    using Type = Word;
};
template <>
struct RegisterOf<2> {
    using Type = Word __attribute__((vector_size(16)));
};
template <>
struct RegisterOf<4> {
    using Type = Word __attribute__((vector_size(32)));
};
template <>
struct RegisterOf<8> {
    using Type = Word __attribute__((vector_size(64)));
};

template <typename Register>
PATCHTST_HAR_INLINE bool any_of(const Register& bits) {
#if PATCHTST_HAR_VECTOR_BYTES == 64
    if constexpr (sizeof(Register) == 64) {
        const auto words = reinterpret_cast<__m512i>(bits);
        return _mm512_test_epi64_mask(words, words) != 0;
    }
#endif
#if PATCHTST_HAR_VECTOR_BYTES >= 32
    if constexpr (sizeof(Register) == 32) {
        const auto words = reinterpret_cast<__m256i>(bits);
        return _mm256_testz_si256(words, words) == 0;
    }
#endif
    // Not subscripted in place: GCC 12 loses a variable index into a vector under its sanitizers.
    Word words[8 * sizeof(Register) / kWordBits];
    __builtin_memcpy(words, &bits, sizeof words);
    Word found = 0;
    for (const Word word : words) found |= word;
    return found != 0;
}

// Bit w tells whether word w is not 0.
template <typename Register>
PATCHTST_HAR_INLINE unsigned nonzero_words(const Register& bits) {
#if PATCHTST_HAR_VECTOR_BYTES == 64
    if constexpr (sizeof(Register) == 64) {
        const auto words = reinterpret_cast<__m512i>(bits);
        return _mm512_test_epi64_mask(words, words);
    }
#endif
#if PATCHTST_HAR_VECTOR_BYTES >= 32
    if constexpr (sizeof(Register) == 32) {
        const auto words = reinterpret_cast<__m256i>(bits);
        const __m256i empty = _mm256_cmpeq_epi64(words, _mm256_setzero_si256());
        return 0xFU ^ static_cast<unsigned>(_mm256_movemask_pd(_mm256_castsi256_pd(empty)));
    }
#endif
    constexpr unsigned kCount = 8 * sizeof(Register) / kWordBits;
    Word words[kCount];
    __builtin_memcpy(words, &bits, sizeof words);
    unsigned found = 0;
    for (unsigned w = 0; w < kCount; ++w) found |= (words[w] != 0 ? 1U : 0U) << w;
    return found;
}

// A row of kWords words, in as many registers as it needs.
template <std::size_t kWords>
struct Row {
    static constexpr std::size_t kWidth =
        8 * kWords < PATCHTST_HAR_VECTOR_BYTES ? kWords : PATCHTST_HAR_VECTOR_BYTES / sizeof(Word);
    static constexpr std::size_t kParts = kWords / kWidth;
    using Register = typename RegisterOf<kWidth>::Type;

    Register part[kParts];

    static PATCHTST_HAR_INLINE Row at(const Word* words) {
        Row row;
        // Part by part: as a whole, it would go through the stack in pieces of other sizes.
        for (std::size_t i = 0; i < kParts; ++i) {
            __builtin_memcpy(&row.part[i], words + i * kWidth, sizeof row.part[i]);
        }
        return row;
    }

    [[nodiscard]] PATCHTST_HAR_INLINE Row common(const Row& other) const {
        Row row;
        for (std::size_t i = 0; i < kParts; ++i) row.part[i] = part[i] & other.part[i];
        return row;
    }

    [[nodiscard]] PATCHTST_HAR_INLINE Row without(const Row& other) const {
        Row row;
        for (std::size_t i = 0; i < kParts; ++i) row.part[i] = part[i] & ~other.part[i];
        return row;
    }

    PATCHTST_HAR_INLINE void to(Word* words) const {
        for (std::size_t i = 0; i < kParts; ++i) {
            __builtin_memcpy(words + i * kWidth, &part[i], sizeof part[i]);
        }
    }

    [[nodiscard]] PATCHTST_HAR_INLINE unsigned nonzero() const {
        unsigned found = 0;
        for (std::size_t i = 0; i < kParts; ++i) found |= nonzero_words(part[i]) << (i * kWidth);
        return found;
    }

    [[nodiscard]] PATCHTST_HAR_INLINE bool any() const {
        Register found = part[0];
        for (std::size_t i = 1; i < kParts; ++i) found |= part[i];
        return any_of(found);
    }
};

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
