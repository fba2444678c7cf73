// How far the embedding of a window lies from those of the windows that a model was trained on.
#pragma once

#include <cstddef>
#include <vector>

namespace patchtst_har::model {

// The components of an embedding are projection * (embedding - origin); its distance is the Euclidean one
// from its components to the nearest centre.
class Familiarity {
  public:
    // origin: n_embedding values; projection: n_components rows of n_embedding; centres: n_centres rows of
    // n_components. They are copied. std::invalid_argument if a size is 0.
    Familiarity(std::size_t n_embedding, std::size_t n_components, std::size_t n_centres, const float* origin,
                const float* projection, const float* centres);

    [[nodiscard]] std::size_t n_embedding() const { return origin_.size(); }
    [[nodiscard]] std::size_t n_components() const { return n_components_; }

    // `components` is memory for n_components() values. Not finite where the embedding is not.
    [[nodiscard]] double distance(const float* embedding, float* components) const;

  private:
    std::size_t n_components_;
    std::vector<float> origin_, columns_, centres_;  // columns: those of the projection, one after the other
};

}  // namespace patchtst_har::model
