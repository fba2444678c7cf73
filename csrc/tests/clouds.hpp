// Clouds of points of many kinds, and the bars of a diagram as one vector.
#pragma once

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "persistence/rips.hpp"

namespace patchtst_har::tests {

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
