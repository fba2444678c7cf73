// Linearly interpolated quantiles by selection: values are sorted into buckets of equal width, a byte each;
// the buckets of the wanted ranks are found by counting bytes, and only the few values in them are looked at
// again.
#pragma once

#include "statistics/kernel/bytes.hpp"
#include "statistics/kernels.hpp"

namespace patchtst_har::statistics {
namespace {

constexpr std::size_t kBuckets = 256;
// Among so few, a rank is found by comparing all with all.
constexpr std::size_t kFew = 32;

// The values of a rank and of the next one; the latter is infinite if there is none.
struct Neighbours {
    float at, next;
};

// Of values[0..size), size <= 16 n_blocks. A value belongs to a rank if more values than that are not above
// it, and none that is smaller does. values is padded.
template <std::size_t n_blocks>
PATCHTST_HAR_INLINE Neighbours neighbours_in(float* values, std::size_t size, std::size_t rank) {
    const FloatBlock none = FloatBlock::all(__builtin_inff());
    FloatBlock value[n_blocks];
    IntegerBlock not_above[n_blocks] = {};
    for (std::size_t i = 0; i < n_blocks; ++i) none.to(values + size + i * kFloats);
    for (std::size_t i = 0; i < n_blocks; ++i) value[i] = FloatBlock::at(values + i * kFloats);
    for (std::size_t j = 0; j < size; ++j) {
        const float other = values[j];
        for (std::size_t i = 0; i < n_blocks; ++i) {
            not_above[i] = each([other](auto count, auto mine) { return count - (other <= mine); },
                                not_above[i], value[i]);
        }
    }
    const auto wanted = static_cast<std::int32_t>(rank);
    FloatBlock at = none;
    FloatBlock next = none;
    for (std::size_t i = 0; i < n_blocks; ++i) {
        const auto least_above = [](std::int32_t limit) {
            return [limit](auto least, auto mine, auto count) {
                return Least{}(least, count > limit ? mine : filled<Floats>(__builtin_inff()));
            };
        };
        at = each(least_above(wanted), at, value[i], not_above[i]);
        next = each(least_above(wanted + 1), next, value[i], not_above[i]);
    }
    return {folded(at, Least{}), folded(next, Least{})};
}

Neighbours neighbours_among(float* values, std::size_t size, std::size_t rank) {
    return size <= kFloats ? neighbours_in<1>(values, size, rank) : neighbours_in<2>(values, size, rank);
}

// The value of a rank in values[0..n), which are reordered. Each round keeps one bucket of 256: there are
// fewer than forty rounds, as a float32 range can shrink by that factor only so often.
float select(float* values, std::size_t n, std::size_t rank) {
    while (n > kFew) {
        float low;
        float high;
        extremes_of(values, n, low, high);
        if (!(low < high)) return low;
        const double scale = (kBuckets - 1) / (static_cast<double>(high) - low);
        const auto bucket_of = [&](float value) {
            return static_cast<std::uint32_t>(
                static_cast<std::int32_t>((static_cast<double>(value) - low) * scale));
        };
        std::uint32_t counts[kBuckets] = {};
        for (std::size_t i = 0; i < n; ++i) ++counts[bucket_of(values[i])];
        std::uint32_t bucket = 0;
        while (rank >= counts[bucket]) rank -= counts[bucket++];
        std::size_t kept = 0;
        for (std::size_t i = 0; i < n; ++i) {
            const float value = values[i];
            values[kept] = value;
            kept += bucket_of(value) == bucket;
        }
        n = kept;
    }
    return neighbours_among(values, n, rank).at;
}

std::size_t count_equal(const float* values, std::size_t n, float wanted) {
    IntegerBlock lanes{};
    const std::size_t whole = n - n % kFloats;
    for (std::size_t start = 0; start < whole; start += kFloats) {
        lanes = each([wanted](auto found, auto value) { return found - (value == wanted); }, lanes,
                     FloatBlock::at(values + start));
    }
    auto count = static_cast<std::size_t>(reduced(lanes, Sum{}));
    for (std::size_t i = whole; i < n; ++i) count += values[i] == wanted;
    return count;
}

template <std::size_t n_wanted>
class Quantiles {
  public:
    // low and high are the extremes of values[0..n).
    PATCHTST_HAR_INLINE Quantiles(const Plan& plan, const float* values, std::size_t n, float low, float high,
                                  const double* fractions)
        : plan_(plan), values_(values), n_(n), low_(low), high_(high) {
        const float range = high - low;
        // Of a range that single precision cannot scale, all values share a bucket.
        scale_ = range > 1e-30F && range < 1e30F ? static_cast<float>(kBuckets - 1) / range : 0.0F;
        assign();
        std::size_t ranks[n_wanted];
        for (std::size_t i = 0; i < n_wanted; ++i) {
            const double position = fractions[i] * static_cast<double>(n_ - 1);
            ranks[i] = static_cast<std::size_t>(position);
            weights_[i] = position - static_cast<double>(ranks[i]);
        }
        find_buckets<n_wanted>(plan_.buckets, n_, ranks, found_);
    }

    // Interpolates between the values of two neighbouring ranks.
    [[nodiscard]] PATCHTST_HAR_INLINE double operator[](std::size_t i) const {
        const Bucket& found = found_[i];
        const std::size_t size = found.end - found.start;
        const std::size_t place = found.rank - found.start;
        const Neighbours neighbours = size <= kFew ? of_few(found, place) : of_many(found, place);
        const double weight = weights_[i];
        if (weight == 0.0) return neighbours.at;
        const bool next_inside = place + 1 < size;
        const double above = next_inside ? neighbours.next : lowest_above(found.number);
        return neighbours.at + (above - neighbours.at) * weight;
    }

  private:
    [[nodiscard]] PATCHTST_HAR_INLINE std::int32_t bucket_of_value(float value) const {
        return static_cast<std::int32_t>((value - low_) * scale_);
    }

    // The last block of bytes is filled up with the highest number.
    PATCHTST_HAR_INLINE void assign() {
        const float* __restrict values = values_;
        std::uint8_t* __restrict buckets = plan_.buckets;
        for (std::size_t i = 0; i < n_; ++i) {
            buckets[i] = static_cast<std::uint8_t>(bucket_of_value(values[i]));
        }
        __builtin_memset(buckets + n_, 0xFF, kBytes);
    }

    [[nodiscard]] PATCHTST_HAR_INLINE Neighbours of_few(const Bucket& found, std::size_t place) const {
        collect(static_cast<std::uint8_t>(found.number));
        return neighbours_among(plan_.selection, found.end - found.start, place);
    }

    // Recordings on a device's grid have few values: often a bucket holds but one.
    [[nodiscard]] PATCHTST_HAR_INLINE Neighbours of_many(const Bucket& found, std::size_t place) const {
        const float member = member_of(found.number);
        if (count_equal(values_, n_, member) == found.end - found.start) return {member, member};
        const std::size_t size = found.end - found.start;
        const std::size_t next = place + 1 < size ? place + 1 : place;
        return {select_inside(found.number, size, place), select_inside(found.number, size, next)};
    }

    // Copies the values of a bucket to the selection, which has room for four more. Most groups of 64 samples
    // hold no more than four of them; those are copied without asking how many there are.
    PATCHTST_HAR_INLINE void collect(std::uint8_t bucket) const {
        constexpr std::uint64_t kLast = 0x8000000000000000;
        const std::uint8_t* buckets = plan_.buckets;
        float* target = plan_.selection;
        for (std::size_t start = 0; start < n_; start += 64) {
            const float* values = values_ + start;
            std::uint64_t found = equal_bytes(buckets + start, bucket);
            if (n_ - start < 64) found &= (std::uint64_t{1} << (n_ - start)) - 1;
            const auto count = static_cast<std::size_t>(__builtin_popcountll(found));
            if (count > 4) {
                for (; found != 0; found &= found - 1) *target++ = values[__builtin_ctzll(found)];
                continue;
            }
            for (std::size_t i = 0; i < 4; ++i) {
                target[i] = values[__builtin_ctzll(found | kLast)];
                found &= found - 1;
            }
            target += count;
        }
    }

    [[nodiscard]] float select_inside(std::size_t bucket, std::size_t size, std::size_t rank) const {
        collect(static_cast<std::uint8_t>(bucket));
        return select(plan_.selection, size, rank);
    }

    // The first value of a bucket that has one.
    [[nodiscard]] PATCHTST_HAR_INLINE float member_of(std::size_t bucket) const {
        std::size_t start = 0;
        std::uint64_t found = 0;
        for (; found == 0; start += kBytes) {
            found = equal_bytes(plan_.buckets + start, static_cast<std::uint8_t>(bucket));
        }
        return values_[start - kBytes + static_cast<std::size_t>(__builtin_ctzll(found))];
    }

    // The lowest value of the buckets after one.
    [[nodiscard]] PATCHTST_HAR_STAGE float lowest_above(std::size_t bucket) const {
        const auto number = static_cast<std::int32_t>(bucket);
        FloatBlock lanes = FloatBlock::all(high_);
        const auto look = [&](auto least, auto value) {
            const Integers found = __builtin_convertvector((value - low_) * scale_, Integers);
            return Least{}(least, found > number ? value : filled<Floats>(high_));
        };
        const std::size_t whole = n_ - n_ % kFloats;
        for (std::size_t start = 0; start < whole; start += kFloats) {
            lanes = each(look, lanes, FloatBlock::at(values_ + start));
        }
        float lowest = folded(lanes, Least{});
        for (std::size_t i = whole; i < n_; ++i) {
            if (bucket_of_value(values_[i]) > number && values_[i] < lowest) lowest = values_[i];
        }
        return lowest;
    }

    const Plan& plan_;
    const float* values_;
    std::size_t n_;
    float low_, high_, scale_;
    double weights_[n_wanted];
    Bucket found_[n_wanted];
};

struct Quartiles {
    double q25, q50, q75;
};

PATCHTST_HAR_STAGE Quartiles quartiles_of(const Plan& plan, const float* values, float low, float high) {
    constexpr double kFractions[] = {0.25, 0.5, 0.75};
    const Quantiles<3> quantiles(plan, values, plan.n, low, high, kFractions);
    return {quantiles[0], quantiles[1], quantiles[2]};
}

// values[0..n) may be as long as the window.
PATCHTST_HAR_STAGE double median_of(const Plan& plan, const float* values, std::size_t n) {
    constexpr double kFractions[] = {0.5};
    float low;
    float high;
    extremes_of(values, n, low, high);
    return Quantiles<1>(plan, values, n, low, high, kFractions)[0];
}

// Median of |m - centre|. Rounding a deviation to float32 keeps the order, so the median is rounded alike.
PATCHTST_HAR_STAGE double median_deviation(const Plan& plan, double centre) {
    const float* __restrict m = plan.channels[3];
    float* __restrict deviations = plan.prominences;
    for (std::size_t i = 0; i < plan.n; ++i) {
        deviations[i] = static_cast<float>(__builtin_fabs(static_cast<double>(m[i]) - centre));
    }
    return median_of(plan, deviations, plan.n);
}

}  // namespace
}  // namespace patchtst_har::statistics
