// Runs the kernels over sizes around every block edge and over kinds of signals, in every instruction set,
// and compares the bits. Counts allocations after the first window. `size_sweep short` leaves out most sizes,
// `size_sweep profile ISA KIND` computes 1000 windows of 1000 samples, for an instruction counter, and
// `size_sweep transform ISA N` prints the nanoseconds of a complex transform of N values.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "cpu/isa.hpp"
#include "statistics/kernels.hpp"
#include "statistics/statistics.hpp"
#include "tests/allocations.hpp"
#include "tests/signals.hpp"

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)
// The C library's memory is counted too.
extern "C" {
void* __libc_malloc(std::size_t size);  // NOLINT(bugprone-reserved-identifier)

void* malloc(std::size_t size) {
    ++n_allocations;
    return __libc_malloc(size);
}
}
#endif

namespace {

namespace cpu = patchtst_har::cpu;
namespace statistics = patchtst_har::statistics;

constexpr double kRateHz = 100.0;
const char* const kKinds[] = {"walking", "grid", "noise", "constant", "invalid", "huge"};

using patchtst_har::tests::make_window;

using Features = std::vector<float>;

void fail(const std::string& isa, const std::string& kind, std::size_t n_samples, const char* what) {
    std::fprintf(stderr, "%s, %s, %zu samples: %s\n", isa.c_str(), kind.c_str(), n_samples, what);
    std::exit(1);
}

void sweep(const std::string& kind, std::size_t n_samples) {
    const std::vector<float> window = make_window(kind, n_samples);
    Features expected(statistics::kFeatureCount);
    Features features(statistics::kFeatureCount);
    for (const auto& isa : cpu::available_isas()) {
        cpu::select_isa(isa);
        statistics::Workspace workspace;
        const auto compute = [&] {
            statistics::compute_features(window.data(), n_samples, kRateHz, workspace, features.data());
        };
        compute();
        const std::size_t before = n_allocations;
        compute();
        if (before == 0) fail(isa, kind, n_samples, "no allocation was counted");
        if (n_allocations != before) fail(isa, kind, n_samples, "allocates for a window it has a plan for");
        for (const float value : features) {
            if (!std::isfinite(value)) fail(isa, kind, n_samples, "a feature is not finite");
        }
        if (isa == cpu::available_isas().front()) expected = features;
        if (std::memcmp(expected.data(), features.data(), sizeof(float) * features.size()) != 0) {
            fail(isa, kind, n_samples, "differs from the first instruction set");
        }
    }
}

void profile(const std::string& isa, const std::string& kind) {
    cpu::select_isa(isa);
    const std::vector<float> window = make_window(kind, 1000);
    Features features(statistics::kFeatureCount);
    statistics::Workspace workspace;
    for (int i = 0; i < 1000; ++i) {
        statistics::compute_features(window.data(), 1000, kRateHz, workspace, features.data());
    }
}

// The least time of many transforms, the copy of their input included.
void time_transform(const std::string& isa, std::size_t n) {
    cpu::select_isa(isa);
    const statistics::Fft fft(n);
    statistics::ComplexVector input;
    input.resize(n);
    for (std::size_t i = 0; i < n; ++i) {
        input.re[i] = std::sin(static_cast<double>(i * i));
        input.im[i] = std::cos(static_cast<double>(i));
    }
    statistics::ComplexVector work = input;
    double least = 1e30;
    for (int round = 0; round < 200; ++round) {
        constexpr int kRepeats = 10;
        const auto start = std::chrono::steady_clock::now();
        for (int i = 0; i < kRepeats; ++i) {
            std::copy(input.re.begin(), input.re.end(), work.re.begin());
            std::copy(input.im.begin(), input.im.end(), work.im.begin());
            statistics::active_kernels().transform(fft.plan(), work.re.data(), work.im.data());
        }
        const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - start;
        least = std::min(least, taken.count() / kRepeats);
    }
    std::printf("%.0f\n", least);
}

std::vector<std::size_t> sizes_of_sweep(bool is_short) {
    std::vector<std::size_t> sizes;
    for (std::size_t n = 1; n <= 140; n += is_short ? 7 : 1) sizes.push_back(n);
    for (const std::size_t n :
         {250, 255, 256, 257, 500, 997, 999, 1000, 1001, 1024, 2047, 2048, 3000, 30011, 65536}) {
        if (!is_short || n <= 3000) sizes.push_back(n);
    }
    return sizes;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 4) {
        if (std::string(argv[1]) == "profile") {
            profile(argv[2], argv[3]);
        } else {
            time_transform(argv[2], std::stoul(argv[3]));
        }
        return 0;
    }
    const std::vector<std::size_t> sizes = sizes_of_sweep(argc == 2);
    for (const char* kind : kKinds) {
        for (const std::size_t n : sizes) sweep(kind, n);
    }
    std::printf("%zu sizes, %zu kinds of signals, %zu instruction sets: the same bits\n", sizes.size(),
                std::size(kKinds), cpu::available_isas().size());
    return 0;
}
