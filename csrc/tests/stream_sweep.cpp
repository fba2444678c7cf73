// Feeds the stream's buffer and smoother with every kind of trouble; fails if a window is not the slice it
// should be, or if memory is allocated after construction. `stream_sweep profile` feeds 1e6 samples, for an
// instruction counter, and prints the nanoseconds a sample.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "stream/causal_smoother.hpp"
#include "stream/window_buffer.hpp"
#include "tests/allocations.hpp"

namespace {

namespace stream = patchtst_har::stream;

constexpr std::int64_t kPeriodNs = 10'000'000;

void fail(const std::string& message) {
    std::fprintf(stderr, "%s\n", message.c_str());
    std::exit(1);
}

// Samples on the grid come back as they were, in windows of every size and hop.
void check_slices(std::size_t window_size, std::size_t hop_size) {
    constexpr std::size_t kSamples = 400;
    std::vector<float> samples(stream::kAxes * kSamples);
    for (std::size_t i = 0; i < samples.size(); ++i) samples[i] = static_cast<float>(i + 1);
    stream::WindowBuffer buffer({100.0, window_size, hop_size, 1e9});
    std::size_t n_windows = 0;
    for (std::size_t first = 0;;) {
        first = buffer.feed(samples.data(), nullptr, first, kSamples);
        if (!buffer.ready()) break;
        const float* expected = samples.data() + stream::kAxes * n_windows * hop_size;
        if (!std::equal(expected, expected + stream::kAxes * window_size, buffer.window())) {
            fail("window " + std::to_string(n_windows) + " of size " + std::to_string(window_size) +
                 " is not its samples");
        }
        ++n_windows;
    }
    if (n_windows != (kSamples - window_size) / hop_size + 1) fail("windows are missing");
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
        for (std::size_t first = 0;;) {
            first = buffer.feed(sample, &stamp, first, 1);
            if (!buffer.ready()) break;
            ++n_windows;
            for (std::size_t k = 0; k < stream::kAxes * buffer.options().window_size; ++k) {
                if (!std::isfinite(buffer.window()[k])) fail("a window has a value that is not finite");
            }
        }
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
    const std::size_t before = n_allocations;
    const std::size_t n_windows = feed_trouble(buffer, 100'000);
    for (int t = 0; t < 1000; ++t) {
        if (t % 100 == 0) smoother.restart();
        if (t % 7 == 0) smoother.skip();
        if (!smoother.observe(row.data())) fail("a possible window was found impossible");
        smoother.filtered(posterior.data());
        smoother.look_ahead(smoother.n_held() - 1, posterior.data());
    }
    if (n_allocations != before) fail("memory was allocated after construction");
    std::printf("%zu windows out of 100000 troubled samples, no allocation\n", n_windows);
}

void profile() {
    constexpr std::size_t kSamples = 1'000'000;
    stream::WindowBuffer buffer({100.0, 1000, 100, 1e9});
    const float sample[stream::kAxes] = {0.1F, 0.2F, 0.9F};
    const auto begin = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < kSamples; ++i) {
        const std::int64_t stamp = static_cast<std::int64_t>(i) * (kPeriodNs + 12'345);
        for (std::size_t first = 0;;) {
            first = buffer.feed(sample, &stamp, first, 1);
            if (!buffer.ready()) break;
        }
    }
    const std::chrono::duration<double, std::nano> passed = std::chrono::steady_clock::now() - begin;
    std::printf("%.1f ns a sample\n", passed.count() / static_cast<double>(kSamples));
}

}  // namespace

int main(int argc, char** argv) {
    if (argc > 1 && std::strcmp(argv[1], "profile") == 0) {
        profile();
        return 0;
    }
    for (const std::size_t window_size : {1, 2, 3, 7, 16, 31, 64, 100, 399, 400}) {
        for (const std::size_t hop_size : {1, 2, 5, 16, 63, 100}) {
            if (hop_size <= window_size) check_slices(window_size, hop_size);
        }
    }
    check_allocations();
    return 0;
}
