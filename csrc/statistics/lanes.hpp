// Sums with a fixed number of partial sums: the same bits whatever the vector width of the machine.
#pragma once

#include <cstddef>

namespace patchtst_har::statistics {

inline constexpr std::size_t kLanes = 8;

// One accumulator per lane; total() adds them pairwise in a fixed order.
struct LaneSum {
    double lane[kLanes] = {};

    [[nodiscard]] double total() const {
        return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
    }
};

// Calls body(i, lane) for i = 0..n-1 with lane = i % kLanes, in blocks that a compiler can vectorise.
template <typename Body>
void for_each_lane(std::size_t n, Body body) {
    const std::size_t blocks_end = n - n % kLanes;
    for (std::size_t start = 0; start < blocks_end; start += kLanes) {
        for (std::size_t lane = 0; lane < kLanes; ++lane) body(start + lane, lane);
    }
    for (std::size_t i = blocks_end; i < n; ++i) body(i, i - blocks_end);
}

}  // namespace patchtst_har::statistics
