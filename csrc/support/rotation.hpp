// Tables of rotary position embeddings in the form that vectors need.
#pragma once

#include <cstddef>

namespace patchtst_har::support {

// Spreads the cosines and sines of `n_pairs` adjacent pairs over their 2 n_pairs members, so that a row x is
// rotated by x * wide_cos + swapped(x) * wide_sin, swapped() exchanging the members of each pair.
inline void spread_rotation(const float* cos, const float* sin, std::size_t n_pairs, float* wide_cos,
                            float* wide_sin) {
    for (std::size_t i = 0; i < n_pairs; ++i) {
        wide_cos[2 * i] = wide_cos[2 * i + 1] = cos[i];
        wide_sin[2 * i] = -sin[i];
        wide_sin[2 * i + 1] = sin[i];
    }
}

}  // namespace patchtst_har::support
