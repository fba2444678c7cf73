#include "topology/topology.hpp"

#include <algorithm>
#include <chrono>
#include <limits>
#include <numeric>
#include <tuple>

#include "statistics/statistics.hpp"
#include "topology/stages.hpp"

namespace patchtst_har::topology {
namespace {

class Stopwatch {
  public:
    // Adds what has passed since the last call, or the beginning, to `stage`.
    void lap(double& stage) {
        const Clock::time_point now = Clock::now();
        stage += std::chrono::duration<double>(now - last_).count();
        last_ = now;
    }

  private:
    using Clock = std::chrono::steady_clock;
    Clock::time_point last_ = Clock::now();
};

// The bottom of the valley that holds i.
std::size_t bottom_of(std::size_t i, std::vector<std::size_t>& parents) {
    while (parents[i] != i) {
        parents[i] = parents[parents[i]];
        i = parents[i];
    }
    return i;
}

// Replaces `bars` by the finite bars of the connected components of {i : series[i] <= level} as the level
// rises, sorted by birth and death, those of length 0 left out: a valley is born at its bottom and dies where
// it joins a deeper one. `order` and `parents` are scratch.
void sublevel_bars(const std::vector<float>& series, std::vector<std::size_t>& order,
                   std::vector<std::size_t>& parents, std::vector<persistence::Bar>& bars) {
    const std::size_t n = series.size();
    order.resize(n);
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto is_lower = [&series](std::size_t a, std::size_t b) {
        return std::tie(series[a], a) < std::tie(series[b], b);
    };
    std::sort(order.begin(), order.end(), is_lower);
    parents.assign(n, n);  // n: not reached yet
    bars.clear();
    const auto join = [&](std::size_t i, std::size_t neighbour) {
        std::size_t one = bottom_of(i, parents);
        std::size_t other = bottom_of(neighbour, parents);
        if (is_lower(other, one)) std::swap(one, other);
        parents[other] = one;
        if (series[i] > series[other]) bars.push_back({series[other], series[i]});
    };
    for (const std::size_t i : order) {
        parents[i] = i;
        if (i > 0 && parents[i - 1] != n) join(i, i - 1);
        if (i + 1 < n && parents[i + 1] != n) join(i, i + 1);
    }
    std::sort(bars.begin(), bars.end(), [](const auto& a, const auto& b) {
        return std::tie(a.birth, a.death) < std::tie(b.birth, b.death);
    });
}

}  // namespace

void compute_features(const float* window, std::size_t n_samples, const Embedding& embedding,
                      Workspace& workspace, float* features, StageSeconds& seconds) {
    Stopwatch stopwatch;
    const float* magnitude = statistics::compute_magnitude(window, n_samples, workspace.statistics);
    stopwatch.lap(seconds.magnitude);
    compute_features_of_magnitude(magnitude, n_samples, embedding, workspace, features, seconds);
}

void compute_features_of_magnitude(const float* magnitude, std::size_t n_samples, const Embedding& embedding,
                                   Workspace& workspace, float* features, StageSeconds& seconds) {
    Stopwatch stopwatch;
    const Plan& plan = workspace.plan(n_samples, embedding);
    decimate(plan, magnitude, workspace.mirrored.data(), workspace.kept.data());
    stopwatch.lap(seconds.decimation);
    embed(plan, workspace.kept.data(), workspace.points.data());
    stopwatch.lap(seconds.embedding);
    const persistence::Diagrams diagrams =
        persistence::rips_of_points(workspace.points.data(), plan.n_points, embedding.dimension,
                                    std::numeric_limits<float>::infinity(), workspace.persistence);
    stopwatch.lap(seconds.persistence);
    summarise(diagrams, workspace.lifetimes, workspace.sorted_lifetimes, features);
    stopwatch.lap(seconds.summary);
}

void compute_simplified_features(const float* window, std::size_t n_samples, Workspace& workspace,
                                 float* features) {
    std::vector<float>& m = workspace.magnitude;
    const float* magnitude = statistics::compute_magnitude(window, n_samples, workspace.statistics);
    m.assign(magnitude, magnitude + n_samples);
    sublevel_bars(m, workspace.order, workspace.parents, workspace.valleys);
    const auto [lowest, highest] = std::minmax_element(m.begin(), m.end());
    const float range = *highest - *lowest;
    const float top = *highest;
    for (float& value : m) value = top - value;
    sublevel_bars(m, workspace.order, workspace.parents, workspace.peaks);
    const persistence::Diagrams diagrams{workspace.valleys.data(), workspace.valleys.size(),
                                         workspace.peaks.data(), workspace.peaks.size(), range};
    summarise(diagrams, workspace.lifetimes, workspace.sorted_lifetimes, features);
}

}  // namespace patchtst_har::topology
