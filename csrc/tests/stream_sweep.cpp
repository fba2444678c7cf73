// Feeds the stream's buffer and smoother with every kind of trouble; fails if a window is not the slice it
// should be, or if memory is allocated after construction; puts recordings on grids of every kind.
// `stream_sweep profile` feeds 1e6 samples, for an instruction counter, and prints the nanoseconds a sample.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <limits>
#include <random>

#include "stream/causal_smoother.hpp"
#include "stream/interpolation.hpp"
#include "stream/window_buffer.hpp"
#include "tests/sweep.hpp"

namespace patchtst_har::tests {
namespace {

constexpr std::int64_t kPeriodNs = 10'000'000;

// Calls take(window) for each window that a sample completes; returns how many there were.
template <typename Take>
std::size_t feed(stream::WindowBuffer& buffer, const float* sample, std::int64_t stamp, const Take& take) {
    std::size_t n_windows = 0;
    for (std::size_t first = 0;; ++n_windows) {
        first = buffer.feed(sample, &stamp, first, 1);
        if (!buffer.ready()) return n_windows;
        take(buffer.window());
    }
}

// Samples on the grid come back as they were, in windows of every size and hop.
void check_slices(std::size_t window_size, std::size_t hop_size) {
    constexpr std::size_t kSamples = 400;
    std::vector<float> samples(stream::kAxes * kSamples);
    for (std::size_t i = 0; i < samples.size(); ++i) samples[i] = static_cast<float>(i + 1) / 64.0F;
    stream::WindowBuffer buffer({100.0, window_size, hop_size, 1e9});
    std::size_t n_windows = 0;
    for (std::size_t first = 0;;) {
        first = buffer.feed(samples.data(), nullptr, first, kSamples);
        if (!buffer.ready()) break;
        const float* expected = samples.data() + stream::kAxes * n_windows * hop_size;
        if (!std::equal(expected, expected + stream::kAxes * window_size, buffer.window())) {
            fail("windows of " + std::to_string(window_size),
                 std::to_string(n_windows) + " is not its samples");
        }
        ++n_windows;
    }
    if (n_windows != (kSamples - window_size) / hop_size + 1) {
        fail("windows of " + std::to_string(window_size), "some are missing");
    }
}

// Jitter, repeats, pauses, jumps, unusable samples: whatever comes, nothing is allocated.
std::size_t feed_trouble(stream::WindowBuffer& buffer, std::size_t n_samples) {
    // The same trouble in every run.
    std::mt19937 random(1);  // NOLINT(bugprone-random-generator-seed)
    const float nan = std::numeric_limits<float>::quiet_NaN();
    std::int64_t stamp = 0;
    std::size_t n_windows = 0;
    for (std::size_t i = 0; i < n_samples; ++i) {
        const auto dice = random() % 1000;
        if (dice > 3) stamp += kPeriodNs + static_cast<std::int64_t>(random() % 100'000);
        if (dice == 1) stamp += 3'000'000'000;
        if (dice == 2) stamp -= 2'000'000'000;
        const float value = dice == 5 ? nan : dice == 6 ? 0.0F : static_cast<float>(random() % 64) / 64.0F;
        const float sample[stream::kAxes] = {value, value, dice == 6 ? 0.0F : 1.0F};
        n_windows += feed(buffer, sample, stamp, [&](const float* window) {
            const float* end = window + stream::kAxes * buffer.options().window_size;
            const bool finite = std::all_of(window, end, [](float value) { return std::isfinite(value); });
            if (!finite) fail("stream", "a window has a value that is not finite");
        });
    }
    return n_windows;
}

void check_allocations() {
    stream::WindowBuffer buffer({100.0, 200, 50, 1e9});
    constexpr std::size_t kClasses = 7;
    const std::vector<double> row(kClasses, 1.0 / kClasses);
    const std::vector<double> square(kClasses * kClasses, 1.0 / kClasses);
    stream::CausalSmoother smoother({row, square, square, 0.5}, 5);
    std::vector<double> posterior(kClasses);
    const std::size_t before = n_allocations();
    const std::size_t n_windows = feed_trouble(buffer, 100'000);
    for (int t = 0; t < 1000; ++t) {
        if (t % 100 == 0) smoother.restart();
        if (t % 7 == 0) smoother.skip();
        if (!smoother.observe(row.data())) fail("smoother", "a possible window was found impossible");
        smoother.filtered(posterior.data());
        smoother.look_ahead(smoother.n_held() - 1, posterior.data());
    }
    if (n_allocations() != before) fail("stream", "memory was allocated after construction");
    std::printf("%zu windows out of 100000 troubled samples, no allocation\n", n_windows);
}

// A point of the grid, by its definition.
double value_at(const std::vector<std::int64_t>& stamps, const Floats& samples, std::int64_t at_ns,
                std::size_t axis) {
    std::size_t n_before = 0;
    while (n_before < stamps.size() && stamps[n_before] <= at_ns) ++n_before;
    const std::size_t low = n_before == 0 ? 0 : n_before - 1;
    const double from = samples[stream::kAxes * low + axis];
    if (n_before == 0 || n_before == stamps.size() || stamps[low] == at_ns) return from;
    const double to = samples[stream::kAxes * n_before + axis];
    const auto step_ns = static_cast<double>(stamps[n_before] - stamps[low]);
    return (to - from) / step_ns * static_cast<double>(at_ns - stamps[low]) + from;
}

// Samples with repeats, pauses and years between them, on grids that begin before and end after them.
void check_interpolation(std::size_t n_samples, std::size_t n_points) {
    std::mt19937_64 random(n_samples * 1000 + n_points);
    const auto moments = [&](std::size_t n) {
        std::vector<std::int64_t> result(n);
        std::int64_t at_ns = -stream::kMostNs;
        for (std::int64_t& moment : result) {
            const auto dice = random() % 10;
            at_ns += static_cast<std::int64_t>(dice < 2   ? 0
                                               : dice < 9 ? random() % 1000
                                                          : random() % 1'000'000'000'000);
            moment = at_ns;
        }
        return result;
    };
    const std::vector<std::int64_t> stamps = moments(n_samples);
    const std::vector<std::int64_t> grid = moments(n_points);
    Floats samples(stream::kAxes * n_samples);
    for (float& value : samples) value = static_cast<float>(random() % 256) / 64.0F;
    std::vector<double> points(stream::kAxes * n_points);
    stream::interpolate(stamps.data(), samples.data(), n_samples, grid.data(), n_points, points.data());
    for (std::size_t i = 0; i < points.size(); ++i) {
        if (points[i] != value_at(stamps, samples, grid[i / stream::kAxes], i % stream::kAxes)) {
            fail("interpolation of " + std::to_string(n_samples), std::to_string(i) + " is off the line");
        }
    }
}

void profile() {
    constexpr std::size_t kSamples = 1'000'000;
    stream::WindowBuffer buffer({100.0, 1000, 100, 1e9});
    const float sample[stream::kAxes] = {0.1F, 0.2F, 0.9F};
    const auto begin = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < kSamples; ++i) {
        const std::int64_t stamp = static_cast<std::int64_t>(i) * (kPeriodNs + 12'345);
        feed(buffer, sample, stamp, [](const float* /*window*/) {});
    }
    const std::chrono::duration<double, std::nano> passed = std::chrono::steady_clock::now() - begin;
    std::printf("%.1f ns per sample\n", passed.count() / static_cast<double>(kSamples));
}

}  // namespace

void run(const Arguments& arguments) {
    if (!arguments.empty()) return profile();
    for (const std::size_t window_size : {1, 2, 3, 7, 16, 31, 64, 100, 399, 400}) {
        for (const std::size_t hop_size : {1, 2, 5, 16, 63, 100}) {
            if (hop_size <= window_size) check_slices(window_size, hop_size);
        }
    }
    for (const std::size_t n_samples : {1, 2, 3, 7, 64, 300}) {
        for (const std::size_t n_points : {0, 1, 2, 5, 100, 401}) check_interpolation(n_samples, n_points);
    }
    check_allocations();
}

}  // namespace patchtst_har::tests
