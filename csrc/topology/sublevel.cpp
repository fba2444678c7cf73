#include "topology/stages.hpp"

#include <algorithm>
#include <numeric>
#include <tuple>

namespace patchtst_har::topology {
namespace {

// The bottom of the valley that holds i.
std::size_t bottom_of(std::size_t i, std::vector<std::size_t>& parents) {
    while (parents[i] != i) {
        parents[i] = parents[parents[i]];
        i = parents[i];
    }
    return i;
}

}  // namespace

void sublevel_bars(const std::vector<float>& series, std::vector<std::size_t>& order,
                   std::vector<std::size_t>& parents, std::vector<persistence::Bar>& bars) {
    const std::size_t n = series.size();
    order.resize(n);
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto is_lower = [&series](std::size_t a, std::size_t b) {
        return std::tie(series[a], a) < std::tie(series[b], b);
    };
    std::sort(order.begin(), order.end(), is_lower);
    parents.assign(n, n);  // n: not reached yet
    bars.clear();
    const auto join = [&](std::size_t i, std::size_t neighbour) {
        std::size_t one = bottom_of(i, parents);
        std::size_t other = bottom_of(neighbour, parents);
        if (is_lower(other, one)) std::swap(one, other);
        parents[other] = one;
        if (series[i] > series[other]) bars.push_back({series[other], series[i]});
    };
    for (const std::size_t i : order) {
        parents[i] = i;
        if (i > 0 && parents[i - 1] != n) join(i, i - 1);
        if (i + 1 < n && parents[i + 1] != n) join(i, i + 1);
    }
    std::sort(bars.begin(), bars.end(), [](const auto& a, const auto& b) {
        return std::tie(a.birth, a.death) < std::tie(b.birth, b.death);
    });
}

}  // namespace patchtst_har::topology
