// Linearly interpolated quantiles by selection: values are counted in buckets of equal width, and only the
// few that share a bucket with a wanted rank are looked at again.
#pragma once

#include "statistics/kernel/lanes.hpp"
#include "statistics/kernel/moments.hpp"
#include "statistics/plan.hpp"

namespace patchtst_har::statistics {
namespace {

constexpr std::size_t kBuckets = 256;
// Equal neighbours would wait for each other in one table of counts.
constexpr std::size_t kTables = 4;
// So few are sorted at once.
constexpr std::size_t kFew = 24;

void insertion_sort(float* values, std::size_t n) {
    for (std::size_t i = 1; i < n; ++i) {
        const float value = values[i];
        std::size_t j = i;
        for (; j > 0 && value < values[j - 1]; --j) values[j] = values[j - 1];
        values[j] = value;
    }
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
    insertion_sort(values, n);
    return values[rank];
}

struct Inside {
    float low, high, above;  // extremes of a bucket's values and the lowest value of the buckets after it
};

class Ranks {
  public:
    // low and high are the extremes of values[0..n).
    PATCHTST_HAR_INLINE Ranks(const Plan& plan, const float* values, std::size_t n, float low, float high)
        : plan_(plan), values_(values), n_(n), low_(low), high_(high) {
        const float range = high - low;
        // Of a range that single precision cannot scale, all values share a bucket.
        scale_ = range > 1e-30F && range < 1e30F ? static_cast<float>(kBuckets - 1) / range : 0.0F;
        assign();
        count();
    }

    // Interpolates between the values of two neighbouring ranks.
    [[nodiscard]] PATCHTST_HAR_INLINE double quantile(double fraction) const {
        const double position = fraction * static_cast<double>(n_ - 1);
        const auto rank = static_cast<std::size_t>(position);
        const double weight = position - static_cast<double>(rank);
        const std::size_t bucket = bucket_of(rank);
        const std::size_t start = bucket == 0 ? 0 : ends_[bucket - 1];
        const std::size_t size = ends_[bucket] - start;
        const bool next_inside = rank + 1 < ends_[bucket];
        double below;
        double above = 0.0;
        if (size <= kFew) {
            collect(static_cast<std::uint8_t>(bucket));
            insertion_sort(plan_.selection, size);
            below = plan_.selection[rank - start];
            if (next_inside) above = plan_.selection[rank + 1 - start];
        } else {
            // Recordings on a device's grid have few values: often a bucket holds but one.
            const Inside inside = look_inside(bucket);
            below = inside.low;
            above = inside.high;
            if (inside.low < inside.high) {
                below = select_inside(bucket, size, rank - start);
                if (next_inside) above = select_inside(bucket, size, rank + 1 - start);
            }
        }
        if (weight == 0.0) return below;
        if (!next_inside) above = look_inside(bucket).above;
        return below + (above - below) * weight;
    }

  private:
    [[nodiscard]] PATCHTST_HAR_INLINE std::int32_t bucket_of_value(float value) const {
        return static_cast<std::int32_t>((value - low_) * scale_);
    }

    PATCHTST_HAR_INLINE void assign() {
        const float* __restrict values = values_;
        std::uint8_t* __restrict buckets = plan_.buckets;
        for (std::size_t i = 0; i < n_; ++i) {
            buckets[i] = static_cast<std::uint8_t>(bucket_of_value(values[i]));
        }
    }

    PATCHTST_HAR_INLINE void count() {
        std::uint32_t counts[kTables][kBuckets] = {};
        const std::uint8_t* buckets = plan_.buckets;
        const std::size_t whole = n_ - n_ % kTables;
        for (std::size_t i = 0; i < whole; i += kTables) {
            for (std::size_t table = 0; table < kTables; ++table) ++counts[table][buckets[i + table]];
        }
        for (std::size_t i = whole; i < n_; ++i) ++counts[0][buckets[i]];
        for (std::size_t b = 0; b < kBuckets; ++b) {
            ends_[b] = (counts[0][b] + counts[1][b]) + (counts[2][b] + counts[3][b]);
        }
        for (std::size_t b = 1; b < kBuckets; ++b) ends_[b] += ends_[b - 1];
    }

    // How many buckets end at or before the rank.
    [[nodiscard]] PATCHTST_HAR_INLINE std::size_t bucket_of(std::size_t rank) const {
        const auto wanted = static_cast<std::int32_t>(rank);
        std::int32_t bucket = 0;
        for (const std::uint32_t end : ends_) bucket += static_cast<std::int32_t>(end) <= wanted;
        return static_cast<std::size_t>(bucket);
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

    [[nodiscard]] PATCHTST_HAR_INLINE double select_inside(std::size_t bucket, std::size_t size,
                                                           std::size_t rank) const {
        collect(static_cast<std::uint8_t>(bucket));
        return select(plan_.selection, size, rank);
    }

    [[nodiscard]] PATCHTST_HAR_STAGE Inside look_inside(std::size_t bucket) const {
        const auto wanted = static_cast<std::int32_t>(bucket);
        float low[kFloats];
        float high[kFloats];
        float above[kFloats];
        for (std::size_t lane = 0; lane < kFloats; ++lane) {
            low[lane] = above[lane] = high_;
            high[lane] = low_;
        }
        const auto look = [&](float value, std::size_t lane) {
            const std::int32_t found = bucket_of_value(value);
            const float at_least = found == wanted ? value : high_;
            const float at_most = found == wanted ? value : low_;
            const float after = found > wanted ? value : high_;
            low[lane] = at_least < low[lane] ? at_least : low[lane];
            high[lane] = at_most > high[lane] ? at_most : high[lane];
            above[lane] = after < above[lane] ? after : above[lane];
        };
        const std::size_t whole = n_ - n_ % kFloats;
        for (std::size_t start = 0; start < whole; start += kFloats) {
            for (std::size_t lane = 0; lane < kFloats; ++lane) look(values_[start + lane], lane);
        }
        for (std::size_t i = whole; i < n_; ++i) look(values_[i], 0);
        for (std::size_t lane = 1; lane < kFloats; ++lane) {
            low[0] = low[lane] < low[0] ? low[lane] : low[0];
            high[0] = high[lane] > high[0] ? high[lane] : high[0];
            above[0] = above[lane] < above[0] ? above[lane] : above[0];
        }
        return {low[0], high[0], above[0]};
    }

    const Plan& plan_;
    const float* values_;
    std::size_t n_;
    float low_, high_, scale_;
    std::uint32_t ends_[kBuckets];
};

struct Quartiles {
    double q25, q50, q75;
};

PATCHTST_HAR_STAGE Quartiles quartiles_of(const Plan& plan, const float* values, float low, float high) {
    const Ranks ranks(plan, values, plan.n, low, high);
    return {ranks.quantile(0.25), ranks.quantile(0.5), ranks.quantile(0.75)};
}

// values[0..n) may be as long as the window.
PATCHTST_HAR_STAGE double median_of(const Plan& plan, const float* values, std::size_t n) {
    float low;
    float high;
    extremes_of(values, n, low, high);
    return Ranks(plan, values, n, low, high).quantile(0.5);
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
