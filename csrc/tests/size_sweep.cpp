// Runs the kernels over sizes around every block edge and over kinds of signals, in every instruction set,
// and compares the bits. Counts allocations after the first window. `size_sweep short` leaves out most sizes,
// `size_sweep profile ISA KIND` computes 1000 windows of 1000 samples, for an instruction counter.
#include <cstdio>

#include "statistics/statistics.hpp"
#include "tests/inputs.hpp"
#include "tests/sweep.hpp"

namespace patchtst_har::tests {
namespace {

// Several times, of which only the first may allocate.
Floats features_of(const std::string& where, const Floats& window, int n_times) {
    statistics::Workspace workspace;
    Floats features(statistics::kFeatureCount + statistics::kMovementCount);
    float* movement = features.data() + statistics::kFeatureCount;
    const auto compute = [&] {
        const std::size_t n_samples = window.size() / 3;
        statistics::compute_features(window.data(), n_samples, 100.0, workspace, features.data());
        statistics::compute_movement(window.data(), n_samples, 100.0, workspace, movement);
    };
    compute();
    for (int i = 1; i < n_times; ++i) require_no_allocation(where, compute);
    return features;
}

void compare(const std::string& kind, std::size_t n_samples) {
    const Floats window = make_window(kind, n_samples);
    const std::string what = kind + ", " + std::to_string(n_samples) + " samples";
    require_same_in_every_set(what, [&](const std::string& where) {
        const Floats features = features_of(where, window, 2);
        require_finite(where, features);
        return features;
    });
}

void sweep(bool is_short) {
    std::vector<std::size_t> sizes;
    for (std::size_t n = 1; n <= 140; n += is_short ? 7 : 1) sizes.push_back(n);
    for (const std::size_t n :
         {250, 255, 256, 257, 500, 997, 999, 1000, 1001, 1024, 2047, 2048, 3000, 30011, 65536}) {
        if (!is_short || n <= 3000) sizes.push_back(n);
    }
    for (const char* kind : kSignals) {
        for (const std::size_t n : sizes) compare(kind, n);
    }
    std::printf("%zu sizes, %zu kinds of signals, %zu instruction sets: the same bits\n", sizes.size(),
                std::size(kSignals), cpu::available_isas().size());
}

}  // namespace

void run(const Arguments& arguments) {
    if (arguments.size() == 3) {
        cpu::select_isa(arguments[1]);
        features_of("profile", make_window(arguments[2], 1000), 1000);
    } else {
        sweep(!arguments.empty());
    }
}

}  // namespace patchtst_har::tests
