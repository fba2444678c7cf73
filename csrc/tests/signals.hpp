// Windows and clouds of many kinds, the same in every run.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace patchtst_har::tests {

inline double signal_at(const std::string& kind, double seconds, std::size_t axis, double noise) {
    const double rest = axis == 2 ? 0.9 : 0.2;
    if (kind == "walking") {
        return rest + 0.4 * std::sin(12.0 * seconds + static_cast<double>(axis)) + 0.05 * noise;
    }
    if (kind == "grid") return std::round((rest + 0.006 * noise) * 64.0) / 64.0;
    if (kind == "constant") return rest;
    if (kind == "invalid" && noise > 0.5) return std::numeric_limits<double>::quiet_NaN();
    return kind == "huge" ? 1e19 * std::tanh(noise) : rest + 0.3 * noise;
}

// (n_samples, 3), 100 samples a second.
inline std::vector<float> make_window(const std::string& kind, std::size_t n_samples) {
    std::mt19937 generator(1);  // NOLINT(bugprone-random-generator-seed)
    std::normal_distribution<double> normal;
    std::vector<float> window(3 * n_samples);
    for (std::size_t i = 0; i < window.size(); ++i) {
        const std::size_t sample = i / 3;
        const double seconds = static_cast<double>(sample) / 100.0;
        window[i] = static_cast<float>(signal_at(kind, seconds, i % 3, normal(generator)));
    }
    return window;
}

}  // namespace patchtst_har::tests
