// Distances between all points.
#pragma once

#include "persistence/kernel/rows.hpp"

namespace patchtst_har::persistence {
namespace {

using Doubles = Register<double>;
constexpr std::size_t kDoubles = kWidth<double>;

// The distances from point i to kDoubles points from j on.
template <std::size_t kDimension>
PATCHTST_HAR_INLINE Singles distances_from(const Points& points, std::size_t i, std::size_t j) {
    const std::size_t dimension = kDimension != 0 ? kDimension : points.dimension;
    Doubles squares{};
    for (std::size_t c = 0; c < dimension; ++c) {
        const double* axis = points.coordinates + c * points.stride;
        const Doubles difference = axis[i] - load<Doubles>(axis + j);
        squares += difference * difference;
    }
    return narrowed_root(squares);
}

template <std::size_t kDimension>
void measure_in(const Points& points, const Distances& distances) {
    const std::size_t n = points.n;
    float* row = distances.upper;
    float* reach = distances.eccentricity;
    for (std::size_t j = 0; j < n; ++j) reach[j] = 0.0F;
    for (std::size_t i = 0; i < n; ++i) {
        Singles furthest{};
        for (std::size_t j = i + 1; j < n; j += kDoubles) {
            Singles lengths = distances_from<kDimension>(points, i, j);
            // What lies beyond the row is overwritten by the next one.
            store(row + (j - i - 1), lengths);
            store(reach + j, Larger{}(lengths, load<Singles>(reach + j)));
            if (j + kDoubles > n) {
                for (std::size_t lane = n - j; lane < kDoubles; ++lane) lengths[lane] = 0.0F;
            }
            furthest = Larger{}(lengths, furthest);
        }
        for (std::size_t lane = 0; lane < kDoubles; ++lane) {
            reach[i] = furthest[lane] > reach[i] ? furthest[lane] : reach[i];
        }
        row += n - 1 - i;
    }
}

void measure(const Points& points, const Distances& distances) {
    if (points.dimension == 2) return measure_in<2>(points, distances);
    if (points.dimension == 3) return measure_in<3>(points, distances);
    measure_in<0>(points, distances);
}

}  // namespace
}  // namespace patchtst_har::persistence
