// Sets of bytes: which equal one, how many are smaller, and in which of 256 values a rank lies.
#pragma once

#include "statistics/kernel/blocks.hpp"

namespace patchtst_har::statistics {
namespace {

// Bytes are handled in blocks of so many.
constexpr std::size_t kBytes = 64;

using ByteRegister = Register<std::uint8_t>;

// Bit i is set if bytes[i] == wanted, for 64 bytes.
PATCHTST_HAR_INLINE std::uint64_t equal_bytes(const std::uint8_t* bytes, std::uint8_t wanted) {
    // No set has an instruction for 32 that pays.
    using Part = Vector<std::uint8_t, kRegisterBytes == 64 ? 64 : 16>;
    if constexpr (sizeof(Part) == kBytes) return bits_of_equal(load<Part>(bytes), filled<Part>(wanted));
    std::uint64_t result = 0;
    for (std::size_t start = kBytes; start > 0;) {
        start -= sizeof(Part);
        result = result * 65536 + bits_of_equal(load<Part>(bytes + start), filled<Part>(wanted));
    }
    return result;
}

// The bytes at a rank if they were sorted: those with this number, from rank `start` to before `end`.
struct Bucket {
    std::size_t rank, number, start, end;
};

// counts[i] = how many bytes of the blocks are smaller than limits[i].
template <std::size_t n_wanted>
PATCHTST_HAR_INLINE void count_smaller(const std::uint8_t* bytes, std::size_t n_blocks,
                                       const std::uint8_t* limits, std::size_t* counts) {
    // A lane counts to 255. Where a comparison gives bits, these are counted instead.
    constexpr std::size_t kRegisters = 252;
    const std::size_t n_registers = n_blocks * kBytes / sizeof(ByteRegister);
    for (std::size_t i = 0; i < n_wanted; ++i) counts[i] = 0;
    for (std::size_t start = 0; start < n_registers; start += kRegisters) {
        const std::size_t stop = start + kRegisters < n_registers ? start + kRegisters : n_registers;
        ByteRegister smaller[n_wanted] = {};
        for (std::size_t at = start; at < stop; ++at) {
            const auto value = load<ByteRegister>(bytes + at * sizeof(ByteRegister));
            for (std::size_t i = 0; i < n_wanted; ++i) {
                const auto limit = filled<ByteRegister>(limits[i]);
                if constexpr (kRegisterBytes == 64) {
                    counts[i] += static_cast<std::size_t>(__builtin_popcountll(bits_of_less(value, limit)));
                } else {
                    smaller[i] += (value >= limit) + 1;
                }
            }
        }
        if constexpr (kRegisterBytes < 64) {
            for (std::size_t i = 0; i < n_wanted; ++i) counts[i] += sum_of_bytes(smaller[i]);
        }
    }
}

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
