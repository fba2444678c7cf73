#include "topology/topology.hpp"

#include <algorithm>
#include <chrono>
#include <limits>

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
