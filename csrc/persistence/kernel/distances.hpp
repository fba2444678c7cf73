// Distances between all points.
#pragma once

#include <cstddef>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "persistence/complex.hpp"
#include "persistence/kernel/rows.hpp"

namespace patchtst_har::persistence {
namespace {

constexpr std::size_t kDoubles = PATCHTST_HAR_VECTOR_BYTES / sizeof(double);
using Doubles = double __attribute__((vector_size(PATCHTST_HAR_VECTOR_BYTES)));
using Floats = float __attribute__((vector_size(PATCHTST_HAR_VECTOR_BYTES / 2)));

template <typename Vector, typename Value>
PATCHTST_HAR_INLINE Vector load(const Value* from) {
    Vector result;
    __builtin_memcpy(&result, from, sizeof result);
    return result;
}

// Correctly rounded twice, on every machine. The compiler warns about the unmasked forms.
PATCHTST_HAR_INLINE Floats root_of(Doubles squares) {
#if PATCHTST_HAR_VECTOR_BYTES == 64
    return _mm512_maskz_cvtpd_ps(0xFF, _mm512_maskz_sqrt_pd(0xFF, squares));
#elif PATCHTST_HAR_VECTOR_BYTES == 32
    return _mm256_cvtpd_ps(_mm256_sqrt_pd(squares));
#else
    Floats result;
    for (std::size_t i = 0; i < kDoubles; ++i) result[i] = static_cast<float>(__builtin_sqrt(squares[i]));
    return result;
#endif
}

// The distances from point i to kDoubles points from j on.
template <std::size_t kDimension>
PATCHTST_HAR_INLINE Floats distances_from(const Points& points, std::size_t i, std::size_t j) {
    const std::size_t dimension = kDimension != 0 ? kDimension : points.dimension;
    Doubles squares{};
    for (std::size_t c = 0; c < dimension; ++c) {
        const double* axis = points.coordinates + c * points.stride;
        const Doubles difference = axis[i] - load<Doubles>(axis + j);
        squares += difference * difference;
    }
    return root_of(squares);
}

template <std::size_t kDimension>
void measure_in(const Points& points, const Distances& distances) {
    const std::size_t n = points.n;
    float* row = distances.upper;
    float* reach = distances.eccentricity;
    for (std::size_t j = 0; j < n; ++j) reach[j] = 0.0F;
    for (std::size_t i = 0; i < n; ++i) {
        Floats furthest{};
        for (std::size_t j = i + 1; j < n; j += kDoubles) {
            Floats lengths = distances_from<kDimension>(points, i, j);
            // What lies beyond the row is overwritten by the next one.
            __builtin_memcpy(row + (j - i - 1), &lengths, sizeof lengths);
            const auto reached = load<Floats>(reach + j);
            const Floats larger = lengths > reached ? lengths : reached;
            __builtin_memcpy(reach + j, &larger, sizeof larger);
            if (j + kDoubles > n) {
                for (std::size_t lane = n - j; lane < kDoubles; ++lane) lengths[lane] = 0.0F;
            }
            furthest = lengths > furthest ? lengths : furthest;
        }
        for (std::size_t lane = 0; lane < kDoubles; ++lane) {
            reach[i] = furthest[lane] > reach[i] ? furthest[lane] : reach[i];
        }
        row += n - 1 - i;
    }
}

void measure(const Points& points, const Distances& distances) {
    switch (points.dimension) {
        case 2:
            return measure_in<2>(points, distances);
        case 3:
            return measure_in<3>(points, distances);
        default:
            return measure_in<0>(points, distances);
    }
}

}  // namespace
}  // namespace patchtst_har::persistence
