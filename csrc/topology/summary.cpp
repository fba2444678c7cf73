#include "topology/stages.hpp"

#include <algorithm>
#include <cmath>

namespace patchtst_har::topology {
namespace {

using persistence::Bar;

constexpr double kLastingFraction = 0.05;
constexpr std::size_t kH0Count = 9;
constexpr std::size_t kH1Count = 13;

// Takes values in the order of the features, which are stored as float32.
class Writer {
  public:
    explicit Writer(float* features) : next_(features) {}

    void operator()(double value) { *next_++ = static_cast<float>(value); }

  private:
    float* next_;
};

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

void write_longest_three(const std::vector<double>& lifetimes, Writer& write) {
    double longest[3] = {};
    for (const double lifetime : lifetimes) {
        if (lifetime <= longest[2]) continue;
        longest[2] = lifetime;
        if (longest[2] > longest[1]) std::swap(longest[1], longest[2]);
        if (longest[1] > longest[0]) std::swap(longest[0], longest[1]);
    }
    for (const double lifetime : longest) write(lifetime);
}

void summarise_h0(const std::vector<double>& lifetimes, std::vector<double>& sorted, Writer write) {
    write_longest_three(lifetimes, write);
    const Moments moments = moments_of(lifetimes);
    write(moments.total);
    write(moments.mean);
    write(moments.std);
    sorted = lifetimes;
    // Rips bars of H0 come in this order already.
    if (!std::is_sorted(sorted.begin(), sorted.end())) std::sort(sorted.begin(), sorted.end());
    write(quantile_of(sorted, 0.5));
    write(quantile_of(sorted, 0.9));
    write(entropy_of(lifetimes, moments.total));
}

void summarise_h1(const Bar* bars, const std::vector<double>& lifetimes, double radius, Writer write) {
    write_longest_three(lifetimes, write);
    const Moments moments = moments_of(lifetimes);
    write(moments.total);
    write(moments.mean);
    write(moments.std);
    write(entropy_of(lifetimes, moments.total));
    const auto lasts = [radius](double lifetime) { return lifetime > kLastingFraction * radius; };
    write(static_cast<double>(std::count_if(lifetimes.begin(), lifetimes.end(), lasts)));
    // The bars are sorted by birth: of equally long ones, this is the first born.
    const Bar& longest = bars[std::max_element(lifetimes.begin(), lifetimes.end()) - lifetimes.begin()];
    write(static_cast<double>(longest.birth));
    write(static_cast<double>(longest.death));
    float last_death = bars[0].death;
    double squares = 0.0;
    for (std::size_t i = 0; i < lifetimes.size(); ++i) {
        last_death = std::max(last_death, bars[i].death);
        squares += lifetimes[i] * lifetimes[i];
    }
    write(static_cast<double>(bars[lifetimes.size() - 1].birth));
    write(static_cast<double>(last_death));
    write(std::sqrt(squares));
}

}  // namespace

void summarise(const persistence::Diagrams& diagrams, std::vector<double>& lifetimes,
               std::vector<double>& sorted_lifetimes, float* features) {
    std::fill_n(features, kH0Count + kH1Count + 2, 0.0F);
    const auto radius = static_cast<double>(diagrams.enclosing_radius);
    if (diagrams.n_h0 > 0) {
        fill_lifetimes(diagrams.h0, diagrams.n_h0, lifetimes);
        summarise_h0(lifetimes, sorted_lifetimes, Writer(features));
    }
    Writer whole(features + kH0Count + kH1Count);
    whole(radius);
    if (diagrams.n_h1 > 0) {
        fill_lifetimes(diagrams.h1, diagrams.n_h1, lifetimes);
        summarise_h1(diagrams.h1, lifetimes, radius, Writer(features + kH0Count));
        whole(*std::max_element(lifetimes.begin(), lifetimes.end()) / radius);
    }
}

}  // namespace patchtst_har::topology
