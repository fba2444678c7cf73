// Blocks of a fixed number of values, in as many registers as the unit's instruction set needs: the same
// lanes, and the same bits, whatever the width of the machine.
#pragma once

#include "simd/simd.hpp"

namespace patchtst_har::simd {
namespace {

template <typename Value, std::size_t n>
struct Block {
    static constexpr std::size_t kPartLanes = n < kWidth<Value> ? n : kWidth<Value>;
    static constexpr std::size_t kParts = n / kPartLanes;
    using Part = Vector<Value, kPartLanes>;

    Part part[kParts];

    static PATCHTST_HAR_INLINE Block all(Value value) {
        Block result;
        for (auto& part : result.part) part = filled<Part>(value);
        return result;
    }

    // Part by part: as a whole, it would go through the stack in pieces of other sizes.
    // float32 become float64 lanes.
    template <typename Source>
    static PATCHTST_HAR_INLINE Block at(const Source* from) {
        Block result;
        for (std::size_t i = 0; i < kParts; ++i) {
            const auto values = load<Vector<Source, kPartLanes>>(from + i * kPartLanes);
            if constexpr (sizeof(Source) < sizeof(Value)) {
                result.part[i] = widened(values);
            } else {
                result.part[i] = values;
            }
        }
        return result;
    }

    // float32 that lie `step` apart, as float64 lanes.
    static PATCHTST_HAR_INLINE Block spread(const float* from, std::size_t step) {
        Block result;
        for (std::size_t i = 0; i < kParts; ++i) {
            const float* first = from + i * kPartLanes * step;
            result.part[i] = widened(gathered<Singles>(first, step, LanesOf<Singles>{}));
        }
        return result;
    }

    // Reads `count` values; if they are fewer than n, the other lanes are 0.
    static PATCHTST_HAR_INLINE Block first(const Value* from, std::size_t count) {
        if (count >= n) return at(from);
#if PATCHTST_HAR_VECTOR_BYTES == 64
        return {{load_first(from, count)}};
#else
        Value lane[n] = {};
        for (std::size_t i = 0; i < count; ++i) lane[i] = from[i];
        return at(lane);
#endif
    }

    PATCHTST_HAR_INLINE void to(Value* target) const {
        for (std::size_t i = 0; i < kParts; ++i) store(target + i * kPartLanes, part[i]);
    }

    // Writes the first `count` lanes.
    PATCHTST_HAR_INLINE void first_to(Value* target, std::size_t count) const {
        if (count >= n) {
            to(target);
            return;
        }
#if PATCHTST_HAR_VECTOR_BYTES == 64
        store_first(target, part[0], count);
#else
        Value lane[n];
        to(lane);
        for (std::size_t i = 0; i < count; ++i) target[i] = lane[i];
#endif
    }
};

// The block of what the operation gives for each part.
template <typename Operation, typename Value, std::size_t n, typename... Blocks>
PATCHTST_HAR_INLINE Block<Value, n> each(Operation operation, const Block<Value, n>& block,
                                         const Blocks&... others) {
    Block<Value, n> result;
    for (std::size_t i = 0; i < result.kParts; ++i) {
        result.part[i] = operation(block.part[i], others.part[i]...);
    }
    return result;
}

template <typename Value, std::size_t n>
PATCHTST_HAR_INLINE Block<Value, n> operator+(const Block<Value, n>& a, const Block<Value, n>& b) {
    return each([](auto p, auto q) { return p + q; }, a, b);
}
template <typename Value, std::size_t n>
PATCHTST_HAR_INLINE Block<Value, n> operator-(const Block<Value, n>& a, const Block<Value, n>& b) {
    return each([](auto p, auto q) { return p - q; }, a, b);
}
template <typename Value, std::size_t n>
PATCHTST_HAR_INLINE Block<Value, n> operator*(const Block<Value, n>& a, const Block<Value, n>& b) {
    return each([](auto p, auto q) { return p * q; }, a, b);
}
template <typename Value, std::size_t n>
PATCHTST_HAR_INLINE Block<Value, n> operator/(const Block<Value, n>& a, const Block<Value, n>& b) {
    return each([](auto p, auto q) { return p / q; }, a, b);
}
template <typename Value, std::size_t n>
PATCHTST_HAR_INLINE void operator+=(Block<Value, n>& a, const Block<Value, n>& b) {
    a = a + b;
}

template <typename Value, std::size_t n>
PATCHTST_HAR_INLINE Block<Value, n> fused(const Block<Value, n>& a, const Block<Value, n>& b,
                                          const Block<Value, n>& c) {
    return each([](const auto& p, const auto& q, const auto& r) { return fused(p, q, r); }, a, b, c);
}
// One value out of all lanes, by halves.
template <typename Value, std::size_t n, typename Operation>
PATCHTST_HAR_INLINE Value reduced(Block<Value, n> block, Operation operation) {
    for (std::size_t half = block.kParts / 2; half > 0; half /= 2) {
        for (std::size_t i = 0; i < half; ++i) {
            block.part[i] = operation(block.part[i], block.part[i + half]);
        }
    }
    return reduced(block.part[0], operation);
}

template <std::size_t n>
PATCHTST_HAR_INLINE Block<float, n> swapped(const Block<float, n>& value) {
    return each([](const auto& p) { return swapped(p); }, value);
}

}  // namespace
}  // namespace patchtst_har::simd
