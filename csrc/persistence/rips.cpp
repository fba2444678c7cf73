#include "persistence/rips.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include "cpu/isa.hpp"
#include "persistence/edges.hpp"
#include "persistence/kernels.hpp"
#include "persistence/reduction.hpp"

namespace patchtst_har::persistence {

const Kernels& active_kernels() {
    return cpu::active_table<kBaselineKernels, kAvx2Kernels, kAvx512Kernels>();
}

namespace {

constexpr std::size_t kPadding = 16;
constexpr std::size_t kWordBits = 64;

std::size_t words_of_row(std::size_t n) {
    for (const std::size_t words : {1, 2, 4, 8}) {
        if (n <= words * kWordBits) return words;
    }
    return (n + 8 * kWordBits - 1) / (8 * kWordBits) * 8;
}

// Orders the vertices: a hub is the first vertex of a lune, and a central one sees most of the others.
void order_by(const std::vector<float>& eccentricity, std::size_t n, std::vector<std::uint64_t>& order) {
    order.resize(n);
    for (std::size_t i = 0; i < n; ++i) {
        std::uint32_t bits;
        std::memcpy(&bits, &eccentricity[i], sizeof bits);
        order[i] = std::uint64_t{bits} << 32U | i;
    }
    std::sort(order.begin(), order.end());
}

std::size_t index_of(std::uint64_t ordered) {
    return static_cast<std::uint32_t>(ordered);
}

// Distance of each point from the mean of all, in float32: enough to order by.
template <typename Real>
void central_distances(const Real* points, std::size_t n, std::size_t dimension, std::vector<float>& result) {
    result.assign(n + kPadding, 0.0F);
    for (std::size_t c = 0; c < dimension; ++c) {
        double sum = 0.0;
        for (std::size_t i = 0; i < n; ++i) sum += static_cast<double>(points[i * dimension + c]);
        const double mean = sum / static_cast<double>(n);
        for (std::size_t i = 0; i < n; ++i) {
            const auto offset = static_cast<float>(static_cast<double>(points[i * dimension + c]) - mean);
            result[i] += offset * offset;
        }
    }
}

// Keeps one of each set of coincident points: the others add only bars of no length. They are neighbours in
// the order, apart from others at exactly their distance from the mean.
template <typename Real>
void drop_duplicates(const Real* points, std::size_t dimension, const std::vector<std::uint64_t>& order,
                     std::vector<std::uint32_t>& kept) {
    kept.clear();
    std::size_t first_alike = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
        const bool alike = i > 0 && order[i] >> 32U == order[i - 1] >> 32U;
        if (!alike) first_alike = kept.size();
        const Real* point = points + index_of(order[i]) * dimension;
        const bool known = std::any_of(
            kept.begin() + static_cast<std::ptrdiff_t>(first_alike), kept.end(), [&](std::uint32_t other) {
                return std::equal(point, point + dimension, points + std::size_t{other} * dimension);
            });
        if (!known) kept.push_back(static_cast<std::uint32_t>(index_of(order[i])));
    }
}

template <typename Real>
Points lay_out(const Real* points, std::size_t dimension, Workspace& workspace) {
    const std::size_t n = workspace.kept.size();
    const std::size_t stride = n + kPadding;
    workspace.coordinates.assign(dimension * stride, 0.0);
    for (std::size_t i = 0; i < n; ++i) {
        const Real* point = points + std::size_t{workspace.kept[i]} * dimension;
        for (std::size_t c = 0; c < dimension; ++c) {
            workspace.coordinates[c * stride + i] = static_cast<double>(point[c]);
        }
    }
    return {n, dimension, stride, workspace.coordinates.data()};
}

void reserve_pairs(std::size_t n, Workspace& workspace) {
    workspace.upper.resize(n * (n - 1) / 2 + kPadding);
    workspace.eccentricity.resize(n + kPadding);
}

Growth begin_growth(std::size_t n, Workspace& workspace) {
    Growth growth{};
    growth.n = n;
    growth.n_words = words_of_row(n);
    workspace.neighbours.assign(n * growth.n_words, 0);
    for (std::size_t i = 0; i < n; ++i) {
        workspace.neighbours[i * growth.n_words + i / kWordBits] = std::uint64_t{1} << (i % kWordBits);
    }
    workspace.near.assign(n * growth.n_words, 0);
    workspace.scratch.resize(4 * growth.n_words);
    workspace.links.resize(n * n);
    // Room for what one edge can add, and for many edges that add little.
    workspace.lonely.resize(4 * n);
    workspace.saddles.resize(8 * n);
    growth.neighbours = workspace.neighbours.data();
    growth.near = workspace.near.data();
    growth.scratch = workspace.scratch.data();
    growth.edges = workspace.edges.data();
    growth.n_edges = workspace.n_edges;
    growth.links = workspace.links.data();
    growth.lonely = workspace.lonely.data();
    growth.lonely_capacity = workspace.lonely.size();
    growth.saddles = workspace.saddles.data();
    growth.saddle_capacity = workspace.saddles.size();
    return growth;
}

// Adds all edges, and takes what matters of them away whenever a list is full.
void grow_and_reduce(std::size_t n, Workspace& workspace) {
    Growth growth = begin_growth(n, workspace);
    Reduction reduction(n, workspace);
    while (growth.next < growth.n_edges) {
        active_kernels().grow(growth);
        reduction.join_components(growth.n_lonely);
        reduction.pair_cycles(growth.n_saddles);
        growth.n_lonely = growth.n_saddles = 0;
        growth.n_open = reduction.n_open();
    }
    reduction.finish();
}

Diagrams diagrams_of(std::size_t n, float max_edge, Workspace& workspace) {
    workspace.h0.clear();
    workspace.h1.clear();
    float radius = 0.0F;
    if (n >= 2) {
        const auto& reach = workspace.eccentricity;
        radius = *std::min_element(reach.begin(), reach.begin() + static_cast<std::ptrdiff_t>(n));
        collect_edges(n, std::min(radius, max_edge), workspace);
        grow_and_reduce(n, workspace);
    }
    return {workspace.h0.data(), workspace.h0.size(), workspace.h1.data(), workspace.h1.size(), radius};
}

// The order of the bits of what is not negative is that of the numbers. -0 has other bits than 0; negative
// numbers and NaN are refused before they come here, and must not lead out of memory if they do.
float usable(float distance) {
    return distance > 0.0F ? distance : 0.0F;
}

}  // namespace

template <typename Real>
Diagrams rips_of_points(const Real* points, std::size_t n, std::size_t dimension, float max_edge,
                        Workspace& workspace) {
    central_distances(points, n, dimension, workspace.eccentricity);
    order_by(workspace.eccentricity, n, workspace.point_order);
    drop_duplicates(points, dimension, workspace.point_order, workspace.kept);
    const Points layout = lay_out(points, dimension, workspace);
    if (layout.n >= 2) {
        reserve_pairs(layout.n, workspace);
        active_kernels().measure(layout, {workspace.upper.data(), workspace.eccentricity.data()});
    }
    return diagrams_of(layout.n, max_edge, workspace);
}

template Diagrams rips_of_points(const float*, std::size_t, std::size_t, float, Workspace&);
template Diagrams rips_of_points(const double*, std::size_t, std::size_t, float, Workspace&);

Diagrams rips_of_distances(const float* distances, std::size_t n, float max_edge, Workspace& workspace) {
    if (n < 2) return diagrams_of(n, max_edge, workspace);
    reserve_pairs(n, workspace);
    auto& reach = workspace.eccentricity;
    std::fill(reach.begin(), reach.end(), 0.0F);
    for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t j = i + 1; j < n; ++j) {
            const float distance = usable(distances[i * n + j]);
            reach[i] = std::max(reach[i], distance);
            reach[j] = std::max(reach[j], distance);
        }
    }
    order_by(reach, n, workspace.point_order);
    float* upper = workspace.upper.data();
    for (std::size_t i = 0; i < n; ++i) {
        const std::size_t a = index_of(workspace.point_order[i]);
        for (std::size_t j = i + 1; j < n; ++j) {
            const std::size_t b = index_of(workspace.point_order[j]);
            *upper++ = usable(distances[std::min(a, b) * n + std::max(a, b)]);
        }
    }
    return diagrams_of(n, max_edge, workspace);
}

}  // namespace patchtst_har::persistence
