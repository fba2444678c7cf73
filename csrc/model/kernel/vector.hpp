// Vectors of float32 as wide as the unit's registers.
#pragma once

#include "simd/functions.hpp"

namespace patchtst_har::model {
namespace {

using namespace simd;

constexpr std::size_t kLanes = kWidth<float>;

using Vector = Floats;

PATCHTST_HAR_INLINE Vector load(const float* from) {
    return simd::load<Vector>(from);
}

PATCHTST_HAR_INLINE Vector all(float value) {
    return filled<Vector>(value);
}

constexpr std::size_t vectors_for(std::size_t n_floats) {
    return (n_floats + kLanes - 1) / kLanes;
}

}  // namespace
}  // namespace patchtst_har::model
