// From a window to the probabilities of its classes, and its distance from the training windows, in one call:
// features, patches, model, softmax.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "model/engine.hpp"
#include "model/familiarity.hpp"
#include "topology/workspace.hpp"

namespace patchtst_har::stream {

struct ClassifierOptions {
    double rate_hz;
    std::size_t window_size, patch_len, patch_hop;
    bool uses_statistics, uses_movement;           // movement features follow the statistical ones
    std::optional<topology::Embedding> embedding;  // none: no topological features
};

// Everything that one thread needs, from a window to its probabilities, reused from window to window.
struct Workspace : topology::Workspace {
    std::vector<float> values;  // inputs and outputs of the model
};

// Nanoseconds spent in the statistical and movement features, in the topological ones, and in all the rest.
using StageNs = std::array<std::int64_t, 3>;

// The same kernels in the same order as one by one from outside, so the bits are the same.
class WindowClassifier {
  public:
    // Without `familiarity`, distances are NaN. Throws std::invalid_argument if the engine's inputs are not
    // those that the options lead to, or its embedding is not that of `familiarity`.
    WindowClassifier(model::Engine& engine, const ClassifierOptions& options,
                     const model::Familiarity* familiarity = nullptr);

    [[nodiscard]] const ClassifierOptions& options() const { return options_; }
    [[nodiscard]] std::size_t n_time_features() const { return engine_.input_size(1); }
    [[nodiscard]] std::size_t n_classes() const { return engine_.n_outputs(); }

    // Writes the probabilities of `window` (window_size, 3) and its distance; `times` are its time features.
    // May be called from several threads at once, each with its own workspace. For a workspace that was used
    // before, only the persistence of a cloud harder than any earlier one allocates.
    StageNs classify(const float* window, const float* times, Workspace& workspace, double* probabilities,
                     double& distance) const;

  private:
    void cut_patches(const float* window, float* patches) const;

    model::Engine& engine_;
    const model::Familiarity* familiarity_;
    ClassifierOptions options_;
    std::size_t n_patches_, patches_size_, statistics_size_, topology_size_;
};

}  // namespace patchtst_har::stream
