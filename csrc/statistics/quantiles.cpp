#include "statistics/quantiles.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace patchtst_har::statistics {
namespace {

constexpr std::size_t kBuckets = 512;

// Groups values into buckets of equal width, lowest first. Rounding keeps the map to buckets monotonic, so
// the value of a rank is found by selecting inside one bucket.
template <typename Value>
class Buckets {
  public:
    Buckets(const Value* values, std::size_t n, const Extremes& extremes, Value* grouped)
        : grouped_(grouped), n_(n), low_(extremes.min) {
        const double range = extremes.max - extremes.min;
        scale_ = range > 0.0 ? static_cast<double>(kBuckets - 1) / range : 0.0;
        // A range so small that the scale overflows needs no buckets.
        if (!(scale_ <= kLargestScale)) scale_ = 0.0;
        for (std::size_t i = 0; i < n; ++i) ++ends_[bucket_of(values[i])];
        std::uint32_t start = 0;
        for (auto& end : ends_) {
            const std::uint32_t count = end;
            end = start;
            start += count;
        }
        // While the values are placed, each entry moves from the start of its bucket to the end.
        for (std::size_t i = 0; i < n; ++i) grouped_[ends_[bucket_of(values[i])]++] = values[i];
    }

    double quantile(double fraction) {
        const double position = fraction * static_cast<double>(n_ - 1);
        const auto rank = static_cast<std::size_t>(position);
        const double weight = position - static_cast<double>(rank);
        const auto end = bucket_end(rank);
        std::nth_element(grouped_ + start_of(end), grouped_ + rank, grouped_ + *end);
        const double below = grouped_[rank];
        if (weight == 0.0) return below;
        // What follows in the bucket is not smaller; the next bucket begins where this one ends.
        const auto rest_end = rank + 1 < *end ? *end : *bucket_end(rank + 1);
        const double above = *std::min_element(grouped_ + rank + 1, grouped_ + rest_end);
        return below + (above - below) * weight;
    }

  private:
    static constexpr double kLargestScale = 1e300;

    [[nodiscard]] std::size_t bucket_of(Value value) const {
        // Through a signed integer: the conversion is one instruction on every machine.
        return static_cast<std::size_t>(static_cast<std::int32_t>((value - low_) * scale_));
    }

    using Ends = std::array<std::uint32_t, kBuckets>;

    // The end of the bucket that holds `rank`.
    [[nodiscard]] Ends::const_iterator bucket_end(std::size_t rank) const {
        return std::upper_bound(ends_.begin(), ends_.end(), rank);
    }

    [[nodiscard]] std::size_t start_of(Ends::const_iterator end) const {
        return end == ends_.begin() ? 0 : *(end - 1);
    }

    Ends ends_{};
    Value* grouped_;
    std::size_t n_;
    double low_, scale_;
};

}  // namespace

Quartiles quartiles_of(const float* values, std::size_t n, const Extremes& extremes, float* scratch) {
    Buckets<float> buckets(values, n, extremes, scratch);
    return {buckets.quantile(0.25), buckets.quantile(0.5), buckets.quantile(0.75)};
}

double median_of(const double* values, std::size_t n, const Extremes& extremes, double* scratch) {
    return Buckets<double>(values, n, extremes, scratch).quantile(0.5);
}

}  // namespace patchtst_har::statistics
