// Runs Vietoris-Rips persistence over sizes around every row width and over kinds of clouds, in every
// instruction set, and compares the bits; a second run must not allocate. `cloud_sweep threads` runs the same
// clouds in several threads at once. `cloud_sweep profile ISA KIND N` computes 100 clouds, for an instruction
// counter.
#include <cstdio>
#include <thread>

#include "tests/inputs.hpp"
#include "tests/sweep.hpp"

namespace patchtst_har::tests {
namespace {

constexpr float kNoLimit = std::numeric_limits<float>::max();

std::string described(const std::string& kind, std::size_t n_points) {
    return kind + ", " + std::to_string(n_points) + " points";
}

template <typename Real>
Floats bars_of(const std::vector<Real>& points, std::size_t dimension, float max_edge,
               persistence::Workspace& workspace) {
    return flat(persistence::rips_of_points(points.data(), points.size() / dimension, dimension, max_edge,
                                            workspace));
}

// Of a plain cloud of three axes.
Floats bars_of(const Floats& points, persistence::Workspace& workspace) {
    return bars_of(points, 3, kNoLimit, workspace);
}

// The same through a matrix of distances.
Floats bars_of_distances(const Floats& points, persistence::Workspace& workspace) {
    const std::size_t n = points.size() / 3;
    Floats distances;
    for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t j = 0; j < n; ++j) {
            double sum = 0.0;
            for (std::size_t c = 0; c < 3; ++c) {
                const double step =
                    static_cast<double>(points[3 * i + c]) - static_cast<double>(points[3 * j + c]);
                sum += step * step;
            }
            distances.push_back(static_cast<float>(std::sqrt(sum)));
        }
    }
    return flat(persistence::rips_of_distances(distances.data(), n, kNoLimit, workspace));
}

void compare(const std::string& kind, std::size_t n_points) {
    const Floats points = make_cloud<float>(kind, n_points);
    require_same_in_every_set(described(kind, n_points), [&](const std::string& where) {
        persistence::Workspace workspace;
        const Floats bars = bars_of(points, workspace);
        require_no_allocation(
            where, [&] { persistence::rips_of_points(points.data(), n_points, 3, kNoLimit, workspace); });
        if (bars_of_distances(points, workspace) != bars) fail(where, "differs from its matrix of distances");
        if (n_points > 0 && bars.size() > 1 && !(bars[0] > 0.0F)) fail(where, "has no radius");
        return bars;
    });
}

// Other numbers of axes, both precisions, and a limit on the edges.
void compare_other_forms(const std::string& kind, std::size_t n_points) {
    require_same_in_every_set(described(kind, n_points), [&](const std::string& /*where*/) {
        persistence::Workspace workspace;
        Floats all;
        const auto add = [&all](const Floats& bars) { all.insert(all.end(), bars.begin(), bars.end()); };
        for (const std::size_t dimension : {1, 2, 5}) {
            for (const float max_edge : {0.0F, 0.1F, 1.0F, kNoLimit}) {
                add(bars_of(make_cloud<float>(kind, n_points, dimension), dimension, max_edge, workspace));
                add(bars_of(make_cloud<double>(kind, n_points, dimension), dimension, max_edge, workspace));
            }
        }
        return all;
    });
}

// Lengths without any geometry, edges between the groups first: so many cycles and saddles that the lists
// fill and are emptied again and again.
Floats make_lengths(std::size_t n_points, std::size_t n_groups) {
    ExactRandom random;
    Floats distances(n_points * n_points);
    for (std::size_t i = 0; i < n_points; ++i) {
        for (std::size_t j = i + 1; j < n_points; ++j) {
            const double within = i % n_groups == j % n_groups ? 2.0 : 1.0;
            distances[i * n_points + j] = static_cast<float>(within + random.uniform());
        }
    }
    return distances;
}

void compare_lengths(std::size_t n_points, std::size_t n_groups) {
    const Floats distances = make_lengths(n_points, n_groups);
    require_same_in_every_set(described("lengths", n_points), [&](const std::string& where) {
        persistence::Workspace workspace;
        const auto compute = [&] {
            return flat(persistence::rips_of_distances(distances.data(), n_points, kNoLimit, workspace));
        };
        const Floats bars = compute();
        if (compute() != bars) fail(where, "differs the second time");
        if (bars.size() < 3 * n_points) fail(where, "has few bars");
        return bars;
    });
}

void compare_in_threads() {
    const auto work = [] {
        persistence::Workspace own;
        persistence::Workspace fresh;
        for (const char* kind : kClouds) {
            const Floats points = make_cloud<float>(kind, 150);
            if (bars_of(points, own) != bars_of(points, fresh)) fail(kind, "not repeatable in threads");
        }
    };
    std::vector<std::thread> threads;
    threads.reserve(4);
    for (int i = 0; i < 4; ++i) threads.emplace_back(work);
    for (auto& thread : threads) thread.join();
    std::puts("4 threads: repeatable");
}

void refuse_more_memory() {
    const Floats points = make_cloud<float>("noise", 300);
    persistence::Workspace workspace;
    const Floats expected = bars_of(points, workspace);
    workspace.most_column_entries = 100;
    try {
        bars_of(points, workspace);
        fail("memory bound", "not refused");
    } catch (const persistence::MemoryBoundError&) {
        workspace.most_column_entries = 1000000;
    }
    if (bars_of(points, workspace) != expected) fail("memory bound", "workspace is spoilt");
}

void sweep() {
    std::vector<std::size_t> sizes{127, 128, 129, 255, 256, 257, 490, 511, 512, 513, 600};
    for (std::size_t n = 0; n <= 70; ++n) sizes.push_back(n);
    for (const char* kind : kClouds) {
        for (const std::size_t n : sizes) compare(kind, n);
        for (const std::size_t n : {0, 1, 2, 9, 33, 65, 130}) compare_other_forms(kind, n);
    }
    for (const std::size_t n : {64, 130, 200, 300, 520}) {
        for (const std::size_t n_groups : {2, 3, 7}) compare_lengths(n, n_groups);
    }
    refuse_more_memory();
    std::printf("%zu sizes, %zu kinds of clouds, %zu instruction sets: the same bars\n", sizes.size(),
                std::size(kClouds), cpu::available_isas().size());
}

}  // namespace

void run(const Arguments& arguments) {
    if (arguments.size() == 4) {
        cpu::select_isa(arguments[1]);
        const Floats points = make_cloud<float>(arguments[2], std::stoul(arguments[3]));
        persistence::Workspace workspace;
        for (int i = 0; i < 100; ++i) bars_of(points, workspace);
    } else if (!arguments.empty()) {
        compare_in_threads();
    } else {
        sweep();
    }
}

}  // namespace patchtst_har::tests
