// Memory and filters that are reused from window to window. One workspace serves one thread at a time.
#pragma once

#include <cstddef>
#include <vector>

#include "persistence/workspace.hpp"
#include "statistics/workspace.hpp"
#include "support/recent.hpp"

namespace patchtst_har::topology {

// How a window becomes a cloud of points: every `factor`-th sample of the filtered magnitude is kept, and a
// point is `dimension` of them, `delay` apart. All are at least 1.
struct Embedding {
    std::size_t factor, dimension, delay;
};

// How many points become of a window.
std::size_t count_points(std::size_t n_samples, const Embedding& embedding);

// What depends on the length of a window and its embedding alone.
struct Plan {
    Plan(std::size_t n_samples, const Embedding& embedding);

    [[nodiscard]] bool is_for(std::size_t n_samples, const Embedding& other) const;
    [[nodiscard]] std::size_t n_samples() const { return length; }

    std::size_t length;
    Embedding embedding;
    std::size_t n_kept, n_points;
    std::vector<double> taps;  // of the low-pass filter, an odd number; none without decimation
};

// Of a window's statistical and topological features.
class Workspace {
  public:
    // Returns the plan, made unless it is one of those used last, with the buffers below large enough for it.
    const Plan& plan(std::size_t n_samples, const Embedding& embedding);

    statistics::Workspace statistics;
    persistence::Workspace persistence;
    std::vector<float> magnitude;  // of simplified features, which change it
    std::vector<double> mirrored;  // the magnitude, continued at both ends
    std::vector<double> kept;      // after decimation
    std::vector<float> points;
    std::vector<double> lifetimes, sorted_lifetimes;
    std::vector<persistence::Bar> valleys, peaks;  // of the magnitude
    std::vector<std::size_t> order, parents;

  private:
    support::Recent<Plan> recent_;
};

}  // namespace patchtst_har::topology
