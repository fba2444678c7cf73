// Vectors of the compiler: their types, their way to memory and back, and their lanes in another order.
// PATCHTST_HAR_VECTOR_BYTES is the width of the unit's registers.
#pragma once

#include <cstddef>
#include <cstdint>

#define PATCHTST_HAR_INLINE inline __attribute__((always_inline))
// A stage keeps its name in a profile.
#define PATCHTST_HAR_STAGE __attribute__((noinline))

namespace patchtst_har::simd {
namespace {

constexpr std::size_t kRegisterBytes = PATCHTST_HAR_VECTOR_BYTES;

template <typename Value, std::size_t n>
struct VectorOf {
    using Type __attribute__((vector_size(n * sizeof(Value)))) = Value;
};
template <typename Value>
struct VectorOf<Value, 1> {
    using Type = Value;
};
template <typename Value, std::size_t n>
using Vector = typename VectorOf<Value, n>::Type;

// Values in a register.
template <typename Value>
constexpr std::size_t kWidth = kRegisterBytes / sizeof(Value);

template <typename Value>
using Register = Vector<Value, kWidth<Value>>;
using Floats = Register<float>;
using Integers = Register<std::int32_t>;
// As many float32 as a register has float64.
using Singles = Vector<float, kWidth<double>>;

template <typename AnyVector, typename Value>
PATCHTST_HAR_INLINE AnyVector load(const Value* from) {
    AnyVector result;
    __builtin_memcpy(&result, from, sizeof result);
    return result;
}

template <typename AnyVector, typename Value>
PATCHTST_HAR_INLINE void store(Value* to, const AnyVector& value) {
    __builtin_memcpy(to, &value, sizeof value);
}

// The same bits as another type.
template <typename To, typename From>
PATCHTST_HAR_INLINE To bits_as(const From& value) {
    return load<To>(&value);
}

// The value in every lane.
template <typename AnyVector, typename Value>
PATCHTST_HAR_INLINE AnyVector filled(Value value) {
    return value - AnyVector{};
}

// 0, 1, ... n - 1 as a pack.
template <int... lane>
struct Lanes {};
template <std::size_t n, int... lane>
struct CountedLanes : CountedLanes<n - 1, static_cast<int>(n) - 1, lane...> {};
template <int... lane>
struct CountedLanes<0, lane...> {
    using Type = Lanes<lane...>;
};

template <typename AnyVector>
constexpr std::size_t kLanesOf = sizeof(AnyVector) / sizeof(AnyVector{}[0]);
template <typename AnyVector>
using LanesOf = typename CountedLanes<kLanesOf<AnyVector>>::Type;

template <typename AnyVector, int... lane>
PATCHTST_HAR_INLINE AnyVector lane_numbers(Lanes<lane...> /*all*/) {
    return AnyVector{lane...};
}

// The first `n` lanes of value; `rest` in the others.
PATCHTST_HAR_INLINE Floats first_lanes(Floats value, std::size_t n, float rest) {
    const auto numbers = lane_numbers<Integers>(LanesOf<Integers>{});
    return numbers < static_cast<std::int32_t>(n) ? value : filled<Floats>(rest);
}

// Values that lie `step` apart.
template <typename AnyVector, typename Value, int... lane>
PATCHTST_HAR_INLINE AnyVector gathered(const Value* from, std::size_t step, Lanes<lane...> /*all*/) {
    return AnyVector{from[static_cast<std::size_t>(lane) * step]...};
}

// The members of the pairs (2 i, 2 i + 1) exchanged.
template <typename AnyVector, int... lane>
PATCHTST_HAR_INLINE AnyVector swapped(const AnyVector& value, Lanes<lane...> /*all*/) {
    return __builtin_shufflevector(value, value, (lane + 1 - 2 * (lane % 2))...);
}
PATCHTST_HAR_INLINE Floats swapped(const Floats& value) {
    return swapped(value, LanesOf<Floats>{});
}

// Lanes of a and b in turn, from the lanes `first` on.
template <std::size_t first, typename AnyVector, int... lane>
PATCHTST_HAR_INLINE AnyVector riffled(const AnyVector& a, const AnyVector& b, Lanes<lane...> /*all*/) {
    constexpr int kFirst = first;
    constexpr int kCount = sizeof...(lane);
    return __builtin_shufflevector(a, b, (kFirst + lane / 2 + lane % 2 * kCount)...);
}

// Exchanges rows and columns of as many vectors as one has lanes: each round riffles the two halves.
template <typename AnyVector, std::size_t n>
PATCHTST_HAR_INLINE void transpose(AnyVector (&rows)[n]) {
    for (std::size_t round = 1; round < n; round *= 2) {
        AnyVector result[n];
#pragma GCC unroll 8
        for (std::size_t i = 0; i < n / 2; ++i) {
            result[2 * i] = riffled<0>(rows[i], rows[i + n / 2], LanesOf<AnyVector>{});
            result[2 * i + 1] = riffled<n / 2>(rows[i], rows[i + n / 2], LanesOf<AnyVector>{});
        }
#pragma GCC unroll 16
        for (std::size_t i = 0; i < n; ++i) rows[i] = result[i];
    }
}

// The lanes from `first` on, as many as are named.
template <std::size_t first, typename AnyVector, int... lane>
PATCHTST_HAR_INLINE auto part_of(const AnyVector& value, Lanes<lane...> /*taken*/) {
    constexpr int kFirst = first;
    return __builtin_shufflevector(value, value, (kFirst + lane)...);
}

// One value out of all lanes, by halves.
template <typename AnyVector, typename Operation>
PATCHTST_HAR_INLINE auto reduced(const AnyVector& value, Operation operation) {
    constexpr std::size_t kHalf = kLanesOf<AnyVector> / 2;
    if constexpr (kHalf > 2) {
        using Half = typename CountedLanes<kHalf>::Type;
        return reduced(operation(part_of<0>(value, Half{}), part_of<kHalf>(value, Half{})), operation);
    } else if constexpr (kHalf == 1) {
        return operation(value[0], value[1]);
    } else {
        const auto two = operation(value, __builtin_shufflevector(value, value, 2, 3, 2, 3));
        return operation(two[0], two[1]);
    }
}

struct Sum {
    template <typename Value>
    PATCHTST_HAR_INLINE Value operator()(const Value& a, const Value& b) const {
        return a + b;
    }
};

// b where a is not a number, and where both are equal.
struct Larger {
    template <typename Value>
    PATCHTST_HAR_INLINE Value operator()(const Value& a, const Value& b) const {
        return a > b ? a : b;
    }
};

// a where b is not a number, and where both are equal.
struct Greatest {
    template <typename Value>
    PATCHTST_HAR_INLINE Value operator()(const Value& a, const Value& b) const {
        return b > a ? b : a;
    }
};
struct Least {
    template <typename Value>
    PATCHTST_HAR_INLINE Value operator()(const Value& a, const Value& b) const {
        return b < a ? b : a;
    }
};

}  // namespace
}  // namespace patchtst_har::simd
