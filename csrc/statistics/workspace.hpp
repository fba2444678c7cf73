// Memory that is reused from window to window. One workspace serves one thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "statistics/spectrum.hpp"

namespace patchtst_har::statistics {

struct Workspace {
    std::array<std::vector<float>, 3> channels;  // x, y, z after repair
    std::vector<float> magnitude;                // m
    std::vector<float> selection;                // values grouped by size
    std::vector<double> double_selection;        // values grouped by size
    std::vector<double> deviations;              // |m - median|, later the centred m
    std::array<std::vector<double>, 3> gravity;  // low-pass part of x, y, z
    std::array<std::vector<double>, 3> dynamic;  // the rest of x, y, z
    std::vector<double> power;                   // normalised spectrum of m without its DC bin
    std::vector<std::size_t> peaks;              // positions of the local maxima of m
    std::vector<std::size_t> rivals;             // stack of peaks that later ones have not exceeded
    std::vector<float> left_bases, right_bases;  // lowest m on either side of a peak
    std::vector<double> prominences;             // of the peaks
    Spectrum spectrum;                           // transform plan of the current length

    void resize(std::size_t n_samples) {
        for (auto* vectors : {&gravity, &dynamic}) {
            for (auto& values : *vectors) values.resize(n_samples);
        }
        for (auto& values : channels) values.resize(n_samples);
        magnitude.resize(n_samples);
        selection.resize(n_samples);
        double_selection.resize(n_samples);
        deviations.resize(n_samples);
    }
};

}  // namespace patchtst_har::statistics
