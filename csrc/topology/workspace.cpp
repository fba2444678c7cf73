#include "topology/workspace.hpp"

#include <cmath>

namespace patchtst_har::topology {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr std::size_t kHalfTapsPerFactor = 10;

// A sinc that cuts at the new Nyquist frequency, under a Hamming window, with unit gain at 0 Hz.
std::vector<double> low_pass(std::size_t factor) {
    const std::size_t half = kHalfTapsPerFactor * factor;
    std::vector<double> taps(2 * half + 1);
    double sum = 0.0;
    for (std::size_t j = 0; j < taps.size(); ++j) {
        const double position = static_cast<double>(j) - static_cast<double>(half);
        const double angle = kPi * position / static_cast<double>(factor);
        const double sinc = j == half ? 1.0 : std::sin(angle) / angle;
        taps[j] = sinc * (0.54 + 0.46 * std::cos(kPi * position / static_cast<double>(half)));
        sum += taps[j];
    }
    for (double& tap : taps) tap /= sum;
    return taps;
}

std::size_t count_kept(std::size_t n_samples, const Embedding& embedding) {
    return (n_samples + embedding.factor - 1) / embedding.factor;
}

}  // namespace

std::size_t count_points(std::size_t n_samples, const Embedding& embedding) {
    const std::size_t n_kept = count_kept(n_samples, embedding);
    const std::size_t reach = embedding.dimension - 1;
    // Divided, because a product of the two could overflow.
    const bool fits = reach == 0 || (n_kept - 1) / reach >= embedding.delay;
    return fits ? n_kept - reach * embedding.delay : 0;
}

Plan::Plan(std::size_t n_samples, const Embedding& embedding_)
    : length(n_samples),
      embedding(embedding_),
      n_kept(count_kept(n_samples, embedding)),
      n_points(count_points(n_samples, embedding)) {
    if (embedding.factor > 1) taps = low_pass(embedding.factor);
}

bool Plan::is_for(std::size_t n_samples, const Embedding& other) const {
    return length == n_samples && embedding.factor == other.factor &&
           embedding.dimension == other.dimension && embedding.delay == other.delay;
}

const Plan& Workspace::plan(std::size_t n_samples, const Embedding& embedding) {
    const Plan& plan = recent_.plan(n_samples, embedding);
    mirrored.resize(plan.taps.empty() ? 0 : n_samples + plan.taps.size() - 1);
    kept.resize(plan.n_kept);
    points.resize(plan.n_points * embedding.dimension);
    return plan;
}

}  // namespace patchtst_har::topology
