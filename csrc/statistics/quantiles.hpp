// Linearly interpolated quantiles by selection.
#pragma once

#include <cstddef>

#include "statistics/moments.hpp"

namespace patchtst_har::statistics {

struct Quartiles {
    double q25, q50, q75;
};

// `extremes` are those of values[0..n); scratch[0..n) is overwritten.
Quartiles quartiles_of(const float* values, std::size_t n, const Extremes& extremes, float* scratch);

// `extremes` are those of values[0..n); scratch[0..n) is overwritten.
double median_of(const double* values, std::size_t n, const Extremes& extremes, double* scratch);

}  // namespace patchtst_har::statistics
