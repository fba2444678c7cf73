// Windows and clouds of many kinds from random numbers that are the same on every machine.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "persistence/rips.hpp"

namespace patchtst_har::tests {

// Whole numbers and exact arithmetic, where std::normal_distribution depends on the C library's logarithm.
class ExactRandom {
  public:
    explicit ExactRandom(std::mt19937::result_type seed = 1) : generator_(seed) {}

    // 24 bits from 0 to 1.
    double uniform() { return static_cast<double>(generator_() >> 8U) / kSteps; }

    // Nearly normal, of mean 0 and variance 1: twelve uniform numbers, less 6. No step rounds.
    double normal() {
        double sum = -6.0;
        for (int i = 0; i < 12; ++i) sum += uniform();
        return sum;
    }

    std::vector<float> floats(std::size_t n, float spread) {
        std::vector<float> values(n);
        for (float& value : values) value = static_cast<float>(normal()) * spread;
        return values;
    }

  private:
    static constexpr double kSteps = 16777216.0;

    std::mt19937 generator_;
};

constexpr const char* kSignals[] = {"walking", "grid", "noise", "constant", "invalid", "huge"};

// A swing without the C library: straight up and down between -1 and 1.
inline double swing(double place) {
    return std::fabs(std::fmod(place, 4.0) - 2.0) - 1.0;
}

inline double signal_at(const std::string& kind, std::size_t sample, std::size_t axis, double noise) {
    const double rest = axis == 2 ? 0.875 : 0.1875;
    if (kind == "constant") return rest;
    if (kind == "grid") return std::round((rest + 0.006 * noise) * 64.0) / 64.0;
    if (kind == "noise") return rest + 0.3 * noise;
    if (kind == "huge") return 1e19 * noise / (1.0 + std::fabs(noise));
    if (kind == "invalid" && noise > 0.5) return std::numeric_limits<double>::quiet_NaN();
    return rest + 0.4 * swing(static_cast<double>(sample) / 13.0 + static_cast<double>(axis)) + 0.05 * noise;
}

// (n_samples, 3), 100 samples per second.
inline std::vector<float> make_window(const std::string& kind, std::size_t n_samples) {
    ExactRandom random;
    std::vector<float> window(3 * n_samples);
    for (std::size_t i = 0; i < window.size(); ++i) {
        window[i] = static_cast<float>(signal_at(kind, i / 3, i % 3, random.normal()));
    }
    return window;
}

constexpr const char* kClouds[] = {"noise", "grid", "circle", "line", "constant", "far", "clusters"};

inline double coordinate(const std::string& kind, std::size_t point, std::size_t axis, double noise) {
    const auto place = static_cast<double>(point);
    if (kind == "grid") return std::round(3.0 * noise) / 64.0;
    if (kind == "circle") {
        return axis == 0 ? std::cos(place) : std::sin(place) * static_cast<double>(axis == 1);
    }
    if (kind == "line") return std::fmod(place, 17.0);
    if (kind == "constant") return 0.5;
    if (kind == "far" && point == 0) return 1e6;
    if (kind == "clusters") return std::fmod(place, 3.0) + 0.001 * noise;
    return noise;
}

// (n_points, dimension)
template <typename Real>
std::vector<Real> make_cloud(const std::string& kind, std::size_t n_points, std::size_t dimension = 3) {
    ExactRandom random;
    std::vector<Real> points(dimension * n_points);
    for (std::size_t i = 0; i < points.size(); ++i) {
        points[i] = static_cast<Real>(coordinate(kind, i / dimension, i % dimension, random.normal()));
    }
    return points;
}

// The radius and the bars of a diagram as one vector.
inline std::vector<float> flat(const persistence::Diagrams& diagrams) {
    std::vector<float> bars{diagrams.enclosing_radius};
    for (std::size_t i = 0; i < diagrams.n_h0; ++i) bars.push_back(diagrams.h0[i].death);
    for (std::size_t i = 0; i < diagrams.n_h1; ++i) {
        bars.push_back(diagrams.h1[i].birth);
        bars.push_back(diagrams.h1[i].death);
    }
    return bars;
}

}  // namespace patchtst_har::tests
