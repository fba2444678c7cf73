// Computes the topological features of windows of many lengths and kinds, in every instruction set and in two
// threads at once, and compares the bits. Counts allocations for windows that a workspace has seen before.
// `topology_sweep profile ISA KIND` computes 200 windows of 1000 samples, for an instruction counter.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "cpu/isa.hpp"
#include "tests/allocations.hpp"
#include "tests/signals.hpp"
#include "topology/topology.hpp"

namespace {

namespace cpu = patchtst_har::cpu;
namespace topology = patchtst_har::topology;

const char* const kKinds[] = {"walking", "grid", "noise", "constant", "invalid"};
const std::size_t kSizes[] = {1, 2, 3, 9, 10, 11, 20, 21, 22, 64, 100, 127, 128, 129, 250, 1000};
const topology::Embedding kEmbeddings[] = {{8, 3, 1}, {1, 1, 1}, {2, 5, 3}, {3, 2, 100}};

using patchtst_har::tests::make_window;

using Features = std::vector<float>;

void fail(const std::string& isa, const std::string& kind, std::size_t n_samples, const char* what) {
    std::fprintf(stderr, "%s, %s, %zu samples: %s\n", isa.c_str(), kind.c_str(), n_samples, what);
    std::exit(1);
}

// The full and the simplified features.
Features features_of(const std::vector<float>& window, const topology::Embedding& embedding,
                     topology::Workspace& memory, Features features) {
    const std::size_t n_samples = window.size() / 3;
    topology::StageSeconds seconds;
    topology::compute_features(window.data(), n_samples, embedding, memory, features.data(), seconds);
    topology::compute_simplified_features(window.data(), n_samples, memory,
                                          features.data() + topology::kFeatureCount);
    return features;
}

// All sizes of a kind with one workspace, so that it shrinks and grows.
std::vector<Features> sweep(const std::string& isa, const std::string& kind, bool count_allocations) {
    topology::Workspace memory;
    std::vector<Features> all;
    for (const std::size_t n_samples : kSizes) {
        const std::vector<float> window = make_window(kind, n_samples);
        for (const auto& embedding : kEmbeddings) {
            Features features = features_of(window, embedding, memory, Features(2 * topology::kFeatureCount));
            Features again(features.size());
            const std::size_t before = n_allocations;
            again = features_of(window, embedding, memory, std::move(again));
            if (count_allocations && n_allocations != before) {
                fail(isa, kind, n_samples, "allocates for a window that it has seen");
            }
            if (again != features) fail(isa, kind, n_samples, "differs the second time");
            const auto finite = [](float value) { return std::isfinite(value); };
            if (!std::all_of(features.begin(), features.end(), finite)) {
                fail(isa, kind, n_samples, "a feature is not finite");
            }
            all.push_back(std::move(features));
        }
    }
    return all;
}

void profile(const std::string& isa, const std::string& kind) {
    cpu::select_isa(isa);
    const std::vector<float> window = make_window(kind, 1000);
    topology::Workspace memory;
    Features features(2 * topology::kFeatureCount);
    topology::StageSeconds seconds;
    for (int i = 0; i < 200; ++i) {
        topology::compute_features(window.data(), 1000, {8, 3, 1}, memory, features.data(), seconds);
    }
    std::printf(
        "us a window: magnitude %.1f, decimation %.1f, embedding %.1f, persistence %.1f, summary %.1f\n",
        seconds.magnitude * 5e3, seconds.decimation * 5e3, seconds.embedding * 5e3, seconds.persistence * 5e3,
        seconds.summary * 5e3);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 4) {
        profile(argv[2], argv[3]);
        return 0;
    }
    for (const std::string kind : kKinds) {
        std::vector<Features> expected;
        for (const auto& isa : cpu::available_isas()) {
            cpu::select_isa(isa);
            const std::vector<Features> alone = sweep(isa, kind, true);
            if (expected.empty()) expected = alone;
            std::vector<Features> there;
            std::thread other([&] { there = sweep(isa, kind, false); });
            const std::vector<Features> here = sweep(isa, kind, false);
            other.join();
            if (alone != expected) fail(isa, kind, 0, "differs from the first instruction set");
            if (there != expected || here != expected) fail(isa, kind, 0, "differs in two threads");
        }
    }
    std::printf("%zu sizes, %zu embeddings, %zu kinds of signals, %zu instruction sets: the same bits\n",
                std::size(kSizes), std::size(kEmbeddings), std::size(kKinds), cpu::available_isas().size());
    return 0;
}
