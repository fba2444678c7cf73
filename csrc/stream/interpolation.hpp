// A recording put on a grid, as `WindowBuffer` puts a live stream there, but with points in double precision.
#pragma once

#include <cstddef>
#include <cstdint>

namespace patchtst_har::stream {

// Writes, for each of `count` moments in order, the value on the line between the samples around it (3 axes);
// before the first sample its value, after the last its. `stamps_ns` (at least one) is in order as well,
// and no two moments are 292 years apart.
void interpolate(const std::int64_t* stamps_ns, const float* samples, std::size_t n_samples,
                 const std::int64_t* grid_ns, std::size_t count, double* points);

}  // namespace patchtst_har::stream
