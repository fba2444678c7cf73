// Blocks of eight float64 and of sixteen float32, and how a signal is read in such blocks.
#pragma once

#include "simd/block.hpp"
#include "simd/functions.hpp"

namespace patchtst_har::statistics {
namespace {

using namespace simd;

constexpr std::size_t kLanes = 8;
constexpr std::size_t kFloats = 16;

using Doubles = Block<double, kLanes>;
using FloatBlock = Block<float, kFloats>;
using IntegerBlock = Block<std::int32_t, kFloats>;

PATCHTST_HAR_INLINE double sum_of(const Doubles& value) {
    return reduced(value, Sum{});
}

// value where length2 >= limit, otherwise 0.
PATCHTST_HAR_INLINE Doubles zero_if_below(const Doubles& length2, double limit, const Doubles& value) {
    return each([limit](auto l, auto v) { return l >= limit ? v : decltype(v){}; }, length2, value);
}

// Reads eight consecutive values.
struct WholeBlock {
    std::size_t start;

    template <typename Value>
    PATCHTST_HAR_INLINE Doubles operator()(const Value* values, double /*fill*/) const {
        return Doubles::at(values + start);
    }
};

// Reads the last `count` < 8 values; the lanes that are left are `fill`.
struct LastBlock {
    std::size_t start, count;

    template <typename Value>
    PATCHTST_HAR_INLINE Doubles operator()(const Value* values, double fill) const {
        double lane[kLanes];
        for (std::size_t i = 0; i < kLanes; ++i) {
            lane[i] = i < count ? static_cast<double>(values[start + i]) : fill;
        }
        return Doubles::at(lane);
    }
};

// Calls body(block) for 0..n in blocks of eight; block(values, fill) reads them.
template <typename Body>
PATCHTST_HAR_INLINE void for_each_block(std::size_t n, Body body) {
    const std::size_t whole = n - n % kLanes;
    for (std::size_t start = 0; start < whole; start += kLanes) body(WholeBlock{start});
    if (whole < n) body(LastBlock{whole, n - whole});
}

PATCHTST_HAR_INLINE double total_of(const double* values, std::size_t n) {
    Doubles sum{};
    for_each_block(n, [&](auto block) { sum += block(values, 0.0); });
    return sum_of(sum);
}

// The bits of those lanes of a register that hold one of the `left` values still to come.
PATCHTST_HAR_INLINE std::uint32_t bits_below(std::size_t left) {
    return left < kWidth<float> ? (1U << left) - 1U : (1U << kWidth<float>)-1U;
}

// The one of sixteen lanes that `better` prefers, four lanes at a time: in this order, because 0 and -0 are
// equally good.
template <typename Better>
PATCHTST_HAR_INLINE float folded(const FloatBlock& block, Better better) {
    using Four = Vector<float, 4>;
    float lane[kFloats];
    block.to(lane);
    const Four last = better(better(load<Four>(lane), load<Four>(lane + 4)),
                             better(load<Four>(lane + 8), load<Four>(lane + 12)));
    return better(better(last[0], last[1]), better(last[2], last[3]));
}

// Sixteen lanes that remember the smallest and the largest value they saw.
class Extremes {
  public:
    explicit PATCHTST_HAR_INLINE Extremes(float first)
        : low_(FloatBlock::all(first)), high_(FloatBlock::all(first)) {}

    PATCHTST_HAR_INLINE void see(const float* sixteen) {
        const FloatBlock values = FloatBlock::at(sixteen);
        low_ = each(Least{}, low_, values);
        high_ = each(Greatest{}, high_, values);
    }

    // With the values from `start` on, fewer than sixteen.
    PATCHTST_HAR_INLINE void result(const float* values, std::size_t start, std::size_t n, float& smallest,
                                    float& largest) const {
        smallest = folded(low_, Least{});
        largest = folded(high_, Greatest{});
        for (std::size_t i = start; i < n; ++i) {
            smallest = Least{}(smallest, values[i]);
            largest = Greatest{}(largest, values[i]);
        }
    }

  private:
    FloatBlock low_, high_;
};

// Smallest and largest of values[0..n), n >= 1.
PATCHTST_HAR_INLINE void extremes_of(const float* values, std::size_t n, float& smallest, float& largest) {
    Extremes extremes(values[0]);
    const std::size_t whole = n - n % kFloats;
    for (std::size_t start = 0; start < whole; start += kFloats) extremes.see(values + start);
    extremes.result(values, whole, n, smallest, largest);
}

}  // namespace
}  // namespace patchtst_har::statistics
