#include "model/familiarity.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace patchtst_har::model {

Familiarity::Familiarity(std::size_t n_embedding, std::size_t n_components, std::size_t n_centres,
                         const float* origin, const float* projection, const float* centres)
    : n_components_(n_components),
      origin_(origin, origin + n_embedding),
      columns_(n_embedding * n_components),
      centres_(centres, centres + n_centres * n_components) {
    if (n_embedding == 0 || n_components == 0 || n_centres == 0) {
        throw std::invalid_argument("origin, projection and centres must not be empty");
    }
    for (std::size_t row = 0; row < n_components; ++row) {
        for (std::size_t i = 0; i < n_embedding; ++i) columns_[i * n_components + row] = *projection++;
    }
}

double Familiarity::distance(const float* embedding, float* components) const {
    std::fill_n(components, n_components_, 0.0F);
    const float* column = columns_.data();
    for (std::size_t i = 0; i < origin_.size(); ++i, column += n_components_) {
        const float value = embedding[i] - origin_[i];
        for (std::size_t row = 0; row < n_components_; ++row) components[row] += column[row] * value;
    }
    double least = std::numeric_limits<double>::infinity();
    for (auto centre = centres_.begin(); centre != centres_.end();
         centre += static_cast<std::ptrdiff_t>(n_components_)) {
        double squares = 0.0;
        for (std::size_t row = 0; row < n_components_; ++row) {
            const double off = static_cast<double>(components[row]) -
                               static_cast<double>(centre[static_cast<std::ptrdiff_t>(row)]);
            squares += off * off;
        }
        // A NaN stays.
        if (!(squares >= least)) least = squares;
    }
    return std::sqrt(least);
}

}  // namespace patchtst_har::model
