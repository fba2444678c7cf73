#include "stream/window_classifier.hpp"

#include <chrono>
#include <limits>
#include <stdexcept>

#include "statistics/statistics.hpp"
#include "stream/window_buffer.hpp"
#include "topology/topology.hpp"

namespace patchtst_har::stream {
namespace {

using Clock = std::chrono::steady_clock;

std::int64_t passed_ns(Clock::time_point since, Clock::time_point until) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(until - since).count();
}

std::size_t patch_count(const ClassifierOptions& options) {
    if (options.patch_len < 1 || options.patch_hop < 1 || options.patch_len > options.window_size) {
        throw std::invalid_argument("patches must lie in the window");
    }
    return (options.window_size - options.patch_len) / options.patch_hop + 1;
}

}  // namespace

WindowClassifier::WindowClassifier(model::Engine& engine, const ClassifierOptions& options,
                                   const model::Familiarity* familiarity)
    : engine_(engine),
      familiarity_(familiarity),
      options_(options),
      n_patches_(patch_count(options)),
      patches_size_(kAxes * n_patches_ * options.patch_len),
      statistics_size_((options.uses_statistics ? statistics::kFeatureCount : 0) +
                       (options.uses_movement ? statistics::kMovementCount : 0)),
      topology_size_(options.embedding ? topology::kFeatureCount : 0) {
    if (engine.input_size(0) != patches_size_ || engine.input_size(2) != statistics_size_ ||
        engine.input_size(3) != topology_size_) {
        throw std::invalid_argument("the engine's inputs are not those of the options");
    }
    if (familiarity != nullptr && familiarity->n_embedding() != engine.n_embedding()) {
        throw std::invalid_argument("the engine's embedding is not that of the familiarity");
    }
}

StageNs WindowClassifier::classify(const float* window, const float* times, Workspace& workspace,
                                   double* probabilities, double& distance) const {
    const std::size_t embedding_size =
        familiarity_ == nullptr ? 0 : familiarity_->n_embedding() + familiarity_->n_components();
    workspace.values.resize(patches_size_ + statistics_size_ + topology_size_ + n_classes() + embedding_size);
    float* patches = workspace.values.data();
    float* stats = patches + patches_size_;
    float* topo = stats + statistics_size_;
    float* logits = topo + topology_size_;
    float* embedding = familiarity_ == nullptr ? nullptr : logits + n_classes();
    const Clock::time_point began = Clock::now();
    if (options_.uses_statistics) {
        statistics::compute_features(window, options_.window_size, options_.rate_hz, workspace.statistics,
                                     stats);
    }
    if (options_.uses_movement) {
        float* movement = stats + statistics_size_ - statistics::kMovementCount;
        statistics::compute_movement(window, options_.window_size, options_.rate_hz, workspace.statistics,
                                     movement);
    }
    const Clock::time_point after_statistics = Clock::now();
    if (options_.embedding) {
        topology::StageSeconds seconds;
        // The statistics have loaded and repaired the window already.
        const float* magnitude =
            statistics_size_ > 0
                ? statistics::last_magnitude(options_.window_size, options_.rate_hz, workspace.statistics)
                : statistics::compute_magnitude(window, options_.window_size, workspace.statistics);
        topology::compute_features_of_magnitude(magnitude, options_.window_size, *options_.embedding,
                                                workspace, topo, seconds);
    }
    const Clock::time_point after_topology = Clock::now();
    cut_patches(window, patches);
    engine_.run({patches, times, stats, topo}, 1, logits, embedding);
    model::probabilities(logits, 1, n_classes(), probabilities);
    distance = familiarity_ == nullptr
                   ? std::numeric_limits<double>::quiet_NaN()
                   : familiarity_->distance(embedding, embedding + familiarity_->n_embedding());
    return {passed_ns(began, after_statistics), passed_ns(after_statistics, after_topology),
            passed_ns(after_topology, Clock::now())};
}

// (window_size, 3) to (3, n_patches, patch_len).
void WindowClassifier::cut_patches(const float* window, float* patches) const {
    for (std::size_t axis = 0; axis < kAxes; ++axis) {
        for (std::size_t patch = 0; patch < n_patches_; ++patch) {
            const float* first = window + kAxes * patch * options_.patch_hop + axis;
            for (std::size_t i = 0; i < options_.patch_len; ++i) *patches++ = first[kAxes * i];
        }
    }
}

}  // namespace patchtst_har::stream
