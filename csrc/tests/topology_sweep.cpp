// Computes the topological features of windows of many lengths and kinds, in every instruction set and in two
// threads at once, and compares the bits. Counts allocations for windows that a workspace has seen before.
// `topology_sweep profile ISA KIND` computes 200 windows of 1000 samples, for an instruction counter.
#include <cstdio>
#include <thread>

#include "tests/inputs.hpp"
#include "tests/sweep.hpp"
#include "topology/topology.hpp"

namespace patchtst_har::tests {
namespace {

constexpr std::size_t kSizes[] = {1, 2, 3, 9, 10, 11, 20, 21, 22, 64, 100, 127, 128, 129, 250, 1000};
constexpr topology::Embedding kEmbeddings[] = {{8, 3, 1}, {1, 1, 1}, {2, 5, 3}, {3, 2, 100}};

// Writes the full features, and then the simplified ones.
void compute(const Floats& window, const topology::Embedding& embedding, topology::Workspace& memory,
             float* features) {
    const std::size_t n = window.size() / 3;
    topology::StageSeconds seconds;
    topology::compute_features(window.data(), n, embedding, memory, features, seconds);
    topology::compute_simplified_features(window.data(), n, memory, features + topology::kFeatureCount);
}

// All sizes and embeddings with one workspace, so that it shrinks and grows. Allocations can be counted while
// there is one thread.
Floats features_of(const std::string& where, const std::string& kind, bool counts_allocations) {
    topology::Workspace memory;
    Floats all;
    for (const std::size_t n_samples : kSizes) {
        const Floats window = make_window(kind, n_samples);
        for (const auto& embedding : kEmbeddings) {
            Floats features(2 * topology::kFeatureCount);
            Floats again(features.size());
            compute(window, embedding, memory, features.data());
            const auto repeat = [&] { compute(window, embedding, memory, again.data()); };
            const std::string here = where + ", " + std::to_string(n_samples) + " samples";
            counts_allocations ? require_no_allocation(here, repeat) : repeat();
            if (!same_bits(again, features)) fail(here, "differs the second time");
            require_finite(here, features);
            all.insert(all.end(), features.begin(), features.end());
        }
    }
    return all;
}

Floats features_in_threads(const std::string& where, const std::string& kind) {
    Floats alone = features_of(where, kind, true);
    Floats there;
    std::thread other([&] { there = features_of(where, kind, false); });
    const Floats here = features_of(where, kind, false);
    other.join();
    if (!same_bits(there, alone) || !same_bits(here, alone)) fail(where, "differs in two threads");
    return alone;
}

}  // namespace

void run(const Arguments& arguments) {
    if (arguments.size() == 3) {
        cpu::select_isa(arguments[1]);
        const Floats window = make_window(arguments[2], 1000);
        topology::Workspace memory;
        Floats features(2 * topology::kFeatureCount);
        for (int i = 0; i < 200; ++i) compute(window, kEmbeddings[0], memory, features.data());
        return;
    }
    for (const std::string kind : kSignals) {
        require_same_in_every_set(kind,
                                  [&](const std::string& where) { return features_in_threads(where, kind); });
    }
    std::printf("%zu sizes, %zu embeddings, %zu kinds of signals, %zu instruction sets: the same bits\n",
                std::size(kSizes), std::size(kEmbeddings), std::size(kSignals), cpu::available_isas().size());
}

}  // namespace patchtst_har::tests
