#include "topology/stages.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace patchtst_har::topology {
namespace {

using persistence::Bar;

constexpr double kLastingFraction = 0.05;
constexpr std::size_t kH0Count = 9;
constexpr std::size_t kH1Count = 13;

struct Moments {
    double total, mean, std;
};

Moments moments_of(const std::vector<double>& values) {
    const auto n = static_cast<double>(values.size());
    double total = 0.0;
    for (const double value : values) total += value;
    const double mean = total / n;
    double squares = 0.0;
    for (const double value : values) squares += (value - mean) * (value - mean);
    return {total, mean, std::sqrt(squares / n)};
}

// Of the fractions of the total, divided by its largest possible value.
double entropy_of(const std::vector<double>& values, double total) {
    if (values.size() < 2) return 0.0;
    double sum = 0.0;
    for (const double value : values) sum += value / total * std::log(value / total);
    return -sum / std::log(static_cast<double>(values.size()));
}

// Interpolates linearly between the values of a sorted sample.
double quantile_of(const std::vector<double>& sorted, double fraction) {
    const double position = fraction * static_cast<double>(sorted.size() - 1);
    const auto below = static_cast<std::size_t>(position);
    const std::size_t above = std::min(below + 1, sorted.size() - 1);
    return sorted[below] + (position - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

void fill_lifetimes(const Bar* bars, std::size_t n, std::vector<double>& lifetimes) {
    lifetimes.resize(n);
    std::transform(bars, bars + n, lifetimes.begin(), [](const Bar& bar) {
        return static_cast<double>(bar.death) - static_cast<double>(bar.birth);
    });
}

std::array<double, 3> longest_three(const std::vector<double>& lifetimes) {
    std::array<double, 3> longest{};
    for (const double lifetime : lifetimes) {
        if (lifetime <= longest[2]) continue;
        longest[2] = lifetime;
        if (longest[2] > longest[1]) std::swap(longest[1], longest[2]);
        if (longest[1] > longest[0]) std::swap(longest[0], longest[1]);
    }
    return longest;
}

std::array<double, kH0Count> summary_of_h0(const std::vector<double>& lifetimes,
                                           std::vector<double>& sorted) {
    const auto [first, second, third] = longest_three(lifetimes);
    const auto [total, mean, std] = moments_of(lifetimes);
    sorted = lifetimes;
    // Rips bars of H0 come in this order already.
    if (!std::is_sorted(sorted.begin(), sorted.end())) std::sort(sorted.begin(), sorted.end());
    const double median = quantile_of(sorted, 0.5);
    const double p90 = quantile_of(sorted, 0.9);
    const double entropy = entropy_of(lifetimes, total);
    return {first, second, third, total, mean, std, median, p90, entropy};
}

std::array<double, kH1Count> summary_of_h1(const Bar* bars, const std::vector<double>& lifetimes,
                                           double radius) {
    const auto [first, second, third] = longest_three(lifetimes);
    const auto [total, mean, std] = moments_of(lifetimes);
    const auto lasts = [radius](double lifetime) { return lifetime > kLastingFraction * radius; };
    const auto n_lasting = static_cast<double>(std::count_if(lifetimes.begin(), lifetimes.end(), lasts));
    const double entropy = entropy_of(lifetimes, total);
    // The bars are sorted by birth: of equally long ones, this is the first born.
    const Bar& longest = bars[std::max_element(lifetimes.begin(), lifetimes.end()) - lifetimes.begin()];
    float last_death = bars[0].death;
    double squares = 0.0;
    for (std::size_t i = 0; i < lifetimes.size(); ++i) {
        last_death = std::max(last_death, bars[i].death);
        squares += lifetimes[i] * lifetimes[i];
    }
    const double last_birth = bars[lifetimes.size() - 1].birth;
    const double norm = std::sqrt(squares);
    return {first,     second,        third,         total,      mean,       std, entropy,
            n_lasting, longest.birth, longest.death, last_birth, last_death, norm};
}

template <std::size_t n>
void write(const std::array<double, n>& values, float* features) {
    std::transform(values.begin(), values.end(), features,
                   [](double value) { return static_cast<float>(value); });
}

}  // namespace

void summarise(const persistence::Diagrams& diagrams, std::vector<double>& lifetimes,
               std::vector<double>& sorted_lifetimes, float* features) {
    std::fill_n(features, kH0Count + kH1Count + 2, 0.0F);
    const auto radius = static_cast<double>(diagrams.enclosing_radius);
    float* whole = features + kH0Count + kH1Count;
    whole[0] = diagrams.enclosing_radius;
    if (diagrams.n_h0 > 0) {
        fill_lifetimes(diagrams.h0, diagrams.n_h0, lifetimes);
        write(summary_of_h0(lifetimes, sorted_lifetimes), features);
    }
    if (diagrams.n_h1 > 0) {
        fill_lifetimes(diagrams.h1, diagrams.n_h1, lifetimes);
        write(summary_of_h1(diagrams.h1, lifetimes, radius), features + kH0Count);
        whole[1] = static_cast<float>(*std::max_element(lifetimes.begin(), lifetimes.end()) / radius);
    }
}

}  // namespace patchtst_har::topology
