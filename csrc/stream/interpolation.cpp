#include "stream/interpolation.hpp"

#include <algorithm>

#include "stream/window_buffer.hpp"

namespace patchtst_har::stream {

void interpolate(const std::int64_t* stamps_ns, const float* samples, std::size_t n_samples,
                 const std::int64_t* grid_ns, std::size_t count, double* points) {
    if (count == 0) return;
    const std::int64_t* after = std::upper_bound(stamps_ns, stamps_ns + n_samples, grid_ns[0]);
    for (std::size_t point = 0; point < count; ++point, points += kAxes) {
        const std::int64_t at_ns = grid_ns[point];
        while (after != stamps_ns + n_samples && *after <= at_ns) ++after;
        const auto next = static_cast<std::size_t>(after - stamps_ns);
        const std::size_t before = next == 0 ? 0 : next - 1;
        const float* low = samples + kAxes * before;
        if (next == 0 || next == n_samples || stamps_ns[before] == at_ns) {
            std::copy_n(low, kAxes, points);
            continue;
        }
        const auto passed_ns = static_cast<double>(at_ns - stamps_ns[before]);
        const auto step_ns = static_cast<double>(stamps_ns[next] - stamps_ns[before]);
        for (std::size_t axis = 0; axis < kAxes; ++axis) {
            const double from = low[axis];
            const double to = low[kAxes + axis];
            points[axis] = (to - from) / step_ns * passed_ns + from;
        }
    }
}

}  // namespace patchtst_har::stream
