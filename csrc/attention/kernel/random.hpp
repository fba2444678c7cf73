// Dropout by the counter-based generator Philox4x32-10 (Salmon et al. 2011, doi:10.1145/2063384.2063405): the
// same bits in every instruction set, on every thread and on CUDA, found again by the gradient.
//
// A block of 4 keys x 16 queries takes eight counters (8 * (query / 16) + lane, key / 4, head, 0), lane =
// 0..7, under the seed as the key; each gives four words, that is eight numbers of 16 bits. Element 16 * (key
// % 4) + query % 16 of the block is the half (r % 2) of word (2 * (r / 32) + r % 4 / 2) of lane (r % 32 / 4).
#pragma once

#include "attention/kernel/matrix.hpp"

namespace patchtst_har::attention {
namespace {

constexpr std::size_t kBlockKeys = 4;
constexpr std::size_t kBlock = kBlockKeys * kLanes;
constexpr std::size_t kCounters = 8;

// Words in the lower halves of 64-bit lanes; what the upper halves hold does not matter.
using Words = Register<std::uint64_t>;

constexpr std::uint64_t kLowerHalf = 0xFFFFFFFF;

// The four words of eight consecutive counters, part by part.
PATCHTST_HAR_INLINE void philox(std::uint64_t seed, const Words (&counter)[4], Words (&word)[4]) {
    for (std::size_t i = 0; i < 4; ++i) word[i] = counter[i];
    auto key_0 = static_cast<std::uint32_t>(seed);
    auto key_1 = static_cast<std::uint32_t>(seed >> 32U);
#pragma GCC unroll 10
    for (int round = 0; round < 10; ++round) {
        const Words low = low_products(filled<Words>(0xD2511F53U), word[0]);
        const Words high = low_products(filled<Words>(0xCD9E8D57U), word[2]);
        word[0] = (high >> 32U) ^ word[1] ^ static_cast<std::uint64_t>(key_0);
        word[2] = (low >> 32U) ^ word[3] ^ static_cast<std::uint64_t>(key_1);
        word[1] = high;
        word[3] = low;
        key_0 += 0x9E3779B9;
        key_1 += 0xBB67AE85;
    }
}

// Writes the 64 numbers of a block.
PATCHTST_HAR_INLINE void random_block(std::uint64_t seed, std::size_t head, std::size_t key_block,
                                      std::size_t query_block, std::uint16_t* numbers) {
    constexpr std::size_t kPerPart = kWidth<std::uint64_t>;
    for (std::size_t part = 0; part < kCounters / kPerPart; ++part) {
        const Words lane = lane_numbers<Words>(LanesOf<Words>{}) + part * kPerPart;
        const Words counter[4] = {lane + kCounters * query_block, filled<Words>(key_block),
                                  filled<Words>(head), Words{}};
        Words word[4];
        philox(seed, counter, word);
        const Words first = (word[0] & kLowerHalf) | (word[1] << 32U);
        const Words second = (word[2] & kLowerHalf) | (word[3] << 32U);
        store(numbers + 4 * kPerPart * part, first);
        store(numbers + kBlock / 2 + 4 * kPerPart * part, second);
    }
}

PATCHTST_HAR_INLINE float factor_of_kept(const Dropout& dropout) {
    constexpr float kAll = 65536.0F;
    return kAll / (kAll - static_cast<float>(dropout.threshold));
}

// `kept` where the number reaches the threshold, otherwise 0.
PATCHTST_HAR_INLINE Sixteen factors_of(const std::uint16_t* numbers, const Dropout& dropout, float kept) {
    using Numbers = Vector<std::uint16_t, kWidth<float>>;
    Sixteen result;
    for (std::size_t i = 0; i < result.kParts; ++i) {
        const auto read = load<Numbers>(numbers + i * result.kPartLanes);
        const Integers number = __builtin_convertvector(read, Integers);
        const Integers keeps = number >= static_cast<std::int32_t>(dropout.threshold);
        result.part[i] = keeps ? filled<Floats>(kept) : Floats{};
    }
    return result;
}

// Gives the factors of the attention weights of sixteen queries, a key at a time in rising order.
class DropoutFactors {
  public:
    PATCHTST_HAR_INLINE DropoutFactors(const Dropout& dropout, std::size_t head, std::size_t first_query)
        : dropout_(dropout),
          head_(head),
          query_block_(first_query / kLanes),
          kept_(factor_of_kept(dropout)) {}

    PATCHTST_HAR_INLINE Sixteen at(std::size_t key) {
        if (key % kBlockKeys == 0) {
            random_block(dropout_.seed, head_, key / kBlockKeys, query_block_, numbers_);
        }
        return factors_of(numbers_ + kLanes * (key % kBlockKeys), dropout_, kept_);
    }

  private:
    Dropout dropout_;
    std::size_t head_, query_block_;
    float kept_;
    alignas(64) std::uint16_t numbers_[kBlock];
};

}  // namespace
}  // namespace patchtst_har::attention
