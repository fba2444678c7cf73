// Runs Vietoris-Rips persistence over sizes around every row width and over kinds of clouds, in every
// instruction set, and compares the bits; a second run must not allocate. `cloud_sweep threads` runs the same
// clouds in several threads at once. `cloud_sweep profile ISA KIND N` computes 100 clouds, for an instruction
// counter.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "cpu/isa.hpp"
#include "persistence/rips.hpp"
#include "tests/allocations.hpp"
#include "tests/clouds.hpp"

namespace {

namespace cpu = patchtst_har::cpu;
namespace persistence = patchtst_har::persistence;
using patchtst_har::tests::coordinate;
using patchtst_har::tests::flat;

constexpr float kNoLimit = std::numeric_limits<float>::max();
const char* const kKinds[] = {"noise", "grid", "circle", "line", "constant", "far", "clusters"};

template <typename Real>
struct Cloud {
    std::size_t n_points, dimension;
    std::vector<Real> points;
};

template <typename Real = float>
Cloud<Real> make_cloud(const std::string& kind, std::size_t n_points, std::size_t dimension = 3) {
    // The same clouds in every run.
    std::mt19937 generator(1);  // NOLINT(bugprone-random-generator-seed)
    std::normal_distribution<double> normal;
    Cloud<Real> cloud{n_points, dimension, std::vector<Real>(dimension * n_points)};
    for (std::size_t i = 0; i < cloud.points.size(); ++i) {
        cloud.points[i] =
            static_cast<Real>(coordinate(kind, i / dimension, i % dimension, normal(generator)));
    }
    return cloud;
}

template <typename Real>
std::vector<float> bars_of(const Cloud<Real>& cloud, persistence::Workspace& workspace,
                           float max_edge = kNoLimit) {
    return flat(persistence::rips_of_points(cloud.points.data(), cloud.n_points, cloud.dimension, max_edge,
                                            workspace));
}

// The same through a matrix of distances.
std::vector<float> bars_of_distances(const Cloud<float>& cloud, persistence::Workspace& workspace) {
    const std::size_t n = cloud.n_points;
    std::vector<float> distances(n * n);
    for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t j = 0; j < n; ++j) {
            double sum = 0.0;
            for (std::size_t c = 0; c < cloud.dimension; ++c) {
                const double step = static_cast<double>(cloud.points[i * cloud.dimension + c]) -
                                    static_cast<double>(cloud.points[j * cloud.dimension + c]);
                sum += step * step;
            }
            distances[i * n + j] = static_cast<float>(std::sqrt(sum));
        }
    }
    return flat(persistence::rips_of_distances(distances.data(), n, kNoLimit, workspace));
}

void fail(const std::string& where, const std::string& kind, std::size_t n_points, const char* what) {
    std::fprintf(stderr, "%s, %s, %zu points: %s\n", where.c_str(), kind.c_str(), n_points, what);
    std::exit(1);
}

void compare_isas(const std::string& kind, std::size_t n_points) {
    const Cloud<float> cloud = make_cloud(kind, n_points);
    std::vector<float> expected;
    for (const auto& isa : cpu::available_isas()) {
        cpu::select_isa(isa);
        persistence::Workspace workspace;
        const std::vector<float> bars = bars_of(cloud, workspace);
        const std::size_t before = n_allocations;
        persistence::rips_of_points(cloud.points.data(), n_points, cloud.dimension, kNoLimit, workspace);
        if (n_allocations != before) fail(isa, kind, n_points, "allocates for a cloud it has seen");
        if (isa == cpu::available_isas().front()) expected = bars;
        if (bars != expected) fail(isa, kind, n_points, "differs from the first instruction set");
        if (bars_of_distances(cloud, workspace) != bars) {
            fail(isa, kind, n_points, "differs from its matrix of distances");
        }
        if (n_points > 0 && bars.size() > 1 && !(bars[0] > 0.0F)) fail(isa, kind, n_points, "has no radius");
    }
}

// In every instruction set: other numbers of axes, both precisions, and a limit on the edges.
void compare_other_forms(const std::string& kind, std::size_t n_points) {
    std::vector<std::vector<float>> expected;
    for (const auto& isa : cpu::available_isas()) {
        cpu::select_isa(isa);
        persistence::Workspace workspace;
        std::vector<std::vector<float>> results;
        for (const std::size_t dimension : {1, 2, 5}) {
            for (const float max_edge : {0.0F, 0.1F, 1.0F, kNoLimit}) {
                results.push_back(bars_of(make_cloud(kind, n_points, dimension), workspace, max_edge));
                results.push_back(
                    bars_of(make_cloud<double>(kind, n_points, dimension), workspace, max_edge));
            }
        }
        if (isa == cpu::available_isas().front()) expected = results;
        if (results != expected) fail(isa, kind, n_points, "of other forms differs");
    }
}

// Lengths without any geometry, edges between the groups first: so many cycles and saddles that the lists
// fill and are emptied again and again.
std::vector<float> make_lengths(std::size_t n_points, std::size_t n_groups) {
    std::mt19937 generator(1);  // NOLINT(bugprone-random-generator-seed)
    std::uniform_real_distribution<float> length(1.0F, 2.0F);
    std::vector<float> distances(n_points * n_points);
    for (std::size_t i = 0; i < n_points; ++i) {
        for (std::size_t j = i + 1; j < n_points; ++j) {
            const float within = i % n_groups == j % n_groups ? 1.0F : 0.0F;
            distances[i * n_points + j] = distances[j * n_points + i] = within + length(generator);
        }
    }
    return distances;
}

void compare_lengths(std::size_t n_points, std::size_t n_groups) {
    const std::vector<float> distances = make_lengths(n_points, n_groups);
    std::vector<float> expected;
    for (const auto& isa : cpu::available_isas()) {
        cpu::select_isa(isa);
        persistence::Workspace workspace;
        const auto run = [&] {
            return flat(persistence::rips_of_distances(distances.data(), n_points, kNoLimit, workspace));
        };
        const std::vector<float> bars = run();
        if (run() != bars) fail(isa, "lengths", n_points, "differs the second time");
        if (isa == cpu::available_isas().front()) expected = bars;
        if (bars != expected) fail(isa, "lengths", n_points, "differs from the first instruction set");
        if (bars.size() < 3 * n_points) fail(isa, "lengths", n_points, "has few bars");
    }
}

void sweep_in_threads() {
    constexpr std::size_t kPoints = 150;
    const auto work = [] {
        persistence::Workspace own;
        persistence::Workspace fresh;
        for (const char* kind : kKinds) {
            const Cloud<float> cloud = make_cloud(kind, kPoints);
            if (bars_of(cloud, own) != bars_of(cloud, fresh)) {
                fail("threads", kind, kPoints, "not repeatable");
            }
        }
    };
    std::vector<std::thread> threads;
    threads.reserve(4);
    for (int i = 0; i < 4; ++i) threads.emplace_back(work);
    for (auto& thread : threads) thread.join();
    std::puts("4 threads: repeatable");
}

void refuse_more_memory() {
    const Cloud<float> cloud = make_cloud("noise", 300);
    persistence::Workspace workspace;
    const std::vector<float> expected = bars_of(cloud, workspace);
    workspace.most_column_entries = 100;
    try {
        bars_of(cloud, workspace);
        fail("memory bound", "noise", 300, "not refused");
    } catch (const persistence::MemoryBoundError&) {
        workspace.most_column_entries = 1000000;
    }
    if (bars_of(cloud, workspace) != expected) fail("memory bound", "noise", 300, "workspace is spoilt");
}

void profile(const std::string& isa, const std::string& kind, std::size_t n_points) {
    cpu::select_isa(isa);
    const Cloud<float> cloud = make_cloud(kind, n_points);
    persistence::Workspace workspace;
    for (int i = 0; i < 100; ++i) bars_of(cloud, workspace);
}

void sweep() {
    std::vector<std::size_t> sizes;
    for (std::size_t n = 0; n <= 70; ++n) sizes.push_back(n);
    for (const std::size_t n : {127, 128, 129, 255, 256, 257, 490, 511, 512, 513, 600}) sizes.push_back(n);
    for (const char* kind : kKinds) {
        for (const std::size_t n : sizes) compare_isas(kind, n);
        for (const std::size_t n : {0, 1, 2, 9, 33, 65, 130}) compare_other_forms(kind, n);
    }
    for (const std::size_t n : {64, 130, 200, 300, 520}) {
        for (const std::size_t n_groups : {2, 3, 7}) compare_lengths(n, n_groups);
    }
    refuse_more_memory();
    std::printf("%zu sizes, %zu kinds of clouds, %zu instruction sets: the same bars\n", sizes.size(),
                std::size(kKinds), cpu::available_isas().size());
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 5) {
        profile(argv[2], argv[3], std::strtoul(argv[4], nullptr, 10));
    } else if (argc == 2) {
        sweep_in_threads();
    } else {
        sweep();
    }
    return 0;
}
