// What the fuzz targets of this folder share: arguments for kernels, drawn from the fuzzer's bytes. A target
// is one source that defines fuzz(), linked with fuzz.cpp and with libFuzzer or main.cpp; what kernels
// promise is checked by the functions of tests/sweep.hpp, which abort here.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tests/sweep.hpp"

namespace patchtst_har::fuzz {

using tests::fail;
using tests::Floats;

// Where the bytes end, every further number is the least.
class Input {
  public:
    Input(const unsigned char* data, std::size_t size) : next_(data), end_(data + size) {}

    // From least to most, of as few bytes as it takes.
    std::uint64_t between(std::uint64_t least, std::uint64_t most) {
        const std::uint64_t range = most - least;
        std::uint64_t value = 0;
        for (std::uint64_t left = range; left > 0 && next_ != end_; left >>= 8U) {
            value = value << 8U | *next_++;
        }
        return least + (range == UINT64_MAX ? value : value % (range + 1));
    }
    std::int64_t whole(std::int64_t least, std::int64_t most) {
        const std::uint64_t range = static_cast<std::uint64_t>(most) - static_cast<std::uint64_t>(least);
        return static_cast<std::int64_t>(static_cast<std::uint64_t>(least) + between(0, range));
    }
    bool flag() { return between(0, 1) == 1; }

    // From -1 to 1, with few different values or many.
    float moderate() {
        if (flag()) return static_cast<float>(whole(-8, 8)) / 8.0F;
        return static_cast<float>(whole(-32768, 32767)) / 32768.0F;
    }
    // Any bits: NaN, infinity, subnormal numbers.
    float any() {
        const auto bits = static_cast<std::uint32_t>(between(0, UINT32_MAX));
        float value = 0.0F;
        std::memcpy(&value, &bits, sizeof value);
        return value;
    }

    // n values; where the bytes end, those before them are repeated.
    Floats floats(std::size_t n, bool any_bits) {
        Floats values(n);
        std::size_t n_drawn = 0;
        for (; n_drawn < n && (n_drawn == 0 || !is_empty()); ++n_drawn) {
            values[n_drawn] = any_bits ? any() : moderate();
        }
        for (std::size_t i = n_drawn; i < n; ++i) values[i] = values[i - n_drawn];
        return values;
    }

    [[nodiscard]] bool is_empty() const { return next_ == end_; }

  private:
    const unsigned char* next_;
    const unsigned char* end_;
};

// The target. What kernels refuse by std::invalid_argument is refused.
void fuzz(Input& input);

}  // namespace patchtst_har::fuzz
