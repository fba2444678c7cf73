// Sets of bytes: which equal one, how many are smaller, and in which of 256 values a rank lies.
#pragma once

#include "statistics/kernel/lanes.hpp"

namespace patchtst_har::statistics {
namespace {

// Bytes are handled in blocks of so many.
constexpr std::size_t kBytes = 64;

// Bit i tells whether bytes[i] == wanted, for 64 bytes.
PATCHTST_HAR_INLINE std::uint64_t equal_bytes(const std::uint8_t* bytes, std::uint8_t wanted) {
#if PATCHTST_HAR_VECTOR_BYTES == 64
    return _mm512_cmpeq_epi8_mask(_mm512_loadu_si512(bytes), _mm512_set1_epi8(static_cast<char>(wanted)));
#elif defined(__SSE2__)
    std::uint64_t result = 0;
    const __m128i pattern = _mm_set1_epi8(static_cast<char>(wanted));
    for (std::size_t part = 4; part-- > 0;) {
        const __m128i equal = _mm_cmpeq_epi8(load<__m128i>(bytes + 16 * part), pattern);
        result = result * 65536 + static_cast<std::uint32_t>(_mm_movemask_epi8(equal));
    }
    return result;
#else
    std::uint64_t result = 0;
    for (std::size_t i = 64; i-- > 0;) result = result * 2 + (bytes[i] == wanted);
    return result;
#endif
}

// The bytes at a rank if they were sorted: those with this number, from rank `start` to before `end`.
struct Bucket {
    std::size_t rank, number, start, end;
};

#if PATCHTST_HAR_VECTOR_BYTES == 64
template <std::size_t n_wanted>
PATCHTST_HAR_INLINE void count_smaller(const std::uint8_t* bytes, std::size_t n_blocks,
                                       const std::uint8_t* limits, std::size_t* counts) {
    __m512i limit[n_wanted];
    for (std::size_t i = 0; i < n_wanted; ++i) {
        limit[i] = _mm512_set1_epi8(static_cast<char>(limits[i]));
        counts[i] = 0;
    }
    for (std::size_t block = 0; block < n_blocks; ++block) {
        const __m512i value = _mm512_loadu_si512(bytes + block * kBytes);
        for (std::size_t i = 0; i < n_wanted; ++i) {
            const __mmask64 smaller = _mm512_cmplt_epu8_mask(value, limit[i]);
            counts[i] += static_cast<std::size_t>(__builtin_popcountll(smaller));
        }
    }
}
#else
using ByteRegister = std::uint8_t __attribute__((vector_size(PATCHTST_HAR_VECTOR_BYTES)));

PATCHTST_HAR_INLINE std::size_t sum_of(ByteRegister bytes) {
#if PATCHTST_HAR_VECTOR_BYTES == 32
    const auto sums = load<Bits>(&bytes);
    const __m256i eight = _mm256_sad_epu8(load<__m256i>(&sums), _mm256_setzero_si256());
    const auto lane = load<Bits>(&eight);
    return (lane[0] + lane[1]) + (lane[2] + lane[3]);
#elif defined(__SSE2__)
    const __m128i eight = _mm_sad_epu8(load<__m128i>(&bytes), _mm_setzero_si128());
    const auto lane = load<Bits>(&eight);
    return lane[0] + lane[1];
#else
    std::size_t sum = 0;
    for (std::size_t i = 0; i < sizeof bytes; ++i) sum += bytes[i];
    return sum;
#endif
}

// counts[i] = how many bytes of the blocks are smaller than limits[i].
template <std::size_t n_wanted>
PATCHTST_HAR_INLINE void count_smaller(const std::uint8_t* bytes, std::size_t n_blocks,
                                       const std::uint8_t* limits, std::size_t* counts) {
    // A lane counts to 255.
    constexpr std::size_t kRegisters = 252;
    const std::size_t n_registers = n_blocks * kBytes / sizeof(ByteRegister);
    for (std::size_t i = 0; i < n_wanted; ++i) counts[i] = 0;
    for (std::size_t start = 0; start < n_registers; start += kRegisters) {
        const std::size_t stop = start + kRegisters < n_registers ? start + kRegisters : n_registers;
        ByteRegister smaller[n_wanted] = {};
        for (std::size_t at = start; at < stop; ++at) {
            const auto value = load<ByteRegister>(bytes + at * sizeof(ByteRegister));
            for (std::size_t i = 0; i < n_wanted; ++i) {
                smaller[i] += (value >= limits[i] - ByteRegister{}) + 1;
            }
        }
        for (std::size_t i = 0; i < n_wanted; ++i) counts[i] += sum_of(smaller[i]);
    }
}
#endif

// Finds the bytes at ranks by eight bisections. The blocks' places after n hold 255, which is smaller than
// nothing.
template <std::size_t n_wanted>
PATCHTST_HAR_INLINE void find_buckets(const std::uint8_t* bytes, std::size_t n, const std::size_t* ranks,
                                      Bucket* found) {
    for (std::size_t i = 0; i < n_wanted; ++i) found[i] = {ranks[i], 0, 0, n};
    const std::size_t n_blocks = (n + kBytes - 1) / kBytes;
    for (std::size_t step = 128; step > 0; step /= 2) {
        std::uint8_t limits[n_wanted];
        std::size_t counts[n_wanted];
        for (std::size_t i = 0; i < n_wanted; ++i) {
            limits[i] = static_cast<std::uint8_t>(found[i].number + step);
        }
        count_smaller<n_wanted>(bytes, n_blocks, limits, counts);
        for (std::size_t i = 0; i < n_wanted; ++i) {
            const bool higher = counts[i] <= found[i].rank;
            found[i].number += higher ? step : 0;
            found[i].start = higher ? counts[i] : found[i].start;
            found[i].end = higher ? found[i].end : counts[i];
        }
    }
}

}  // namespace
}  // namespace patchtst_har::statistics
