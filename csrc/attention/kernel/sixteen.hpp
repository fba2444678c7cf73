// Sixteen float32 lanes.
#pragma once

#include "attention/kernels.hpp"
#include "simd/block.hpp"
#include "simd/functions.hpp"

namespace patchtst_har::attention {
namespace {

using namespace simd;

using Sixteen = Block<float, kLanes>;

PATCHTST_HAR_INLINE Sixteen powers_of_two(const Sixteen& exponents) {
    return each([](const auto& part) { return power_of_two(part); }, exponents);
}

}  // namespace
}  // namespace patchtst_har::attention
