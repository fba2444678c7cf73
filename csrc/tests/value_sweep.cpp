// Runs every kernel on inputs made by exact arithmetic alone and prints the results, in the baseline
// instruction set or in the one that is named: a line is a case, "name agreement values", the values as the
// hexadecimal bits of float32. tests/support/recorded_values.py compares two such files.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "attention/attention.hpp"
#include "statistics/statistics.hpp"
#include "stream/causal_smoother.hpp"
#include "stream/interpolation.hpp"
#include "stream/window_buffer.hpp"
#include "tests/encoder_layer.hpp"
#include "tests/inputs.hpp"
#include "tests/sweep.hpp"
#include "topology/topology.hpp"

namespace patchtst_har::tests {
namespace {

// How far two machines may be apart: not at all; a few units in the last place, where the C library takes
// part (sin, cos, exp, log, atan2, pow); by rounding, where sums have an order of their own, or steps are
// fused.
constexpr const char* kBits = "bits";
constexpr const char* kLastPlace = "last_place";
constexpr const char* kRounding = "rounding";

struct Case {
    std::string name, agreement;
    Floats values;
};
using Cases = std::vector<Case>;

constexpr double kRateHz = 100.0;
constexpr float kSpread = 0.5F;

// Adds the values of those columns as one case and the others as another.
template <typename IsOfTheLibrary>
void add_split(Cases& cases, const std::string& name, const Floats& values,
               IsOfTheLibrary is_of_the_library) {
    Case own{name, kBits, {}};
    Case library{name + "_library", kLastPlace, {}};
    for (std::size_t i = 0; i < values.size(); ++i) {
        (is_of_the_library(i) ? library : own).values.push_back(values[i]);
    }
    cases.push_back(own);
    cases.push_back(library);
}

void add_statistics(Cases& cases) {
    // The spectrum's table is made of sines; gravity's of exponentials; angles are arc tangents.
    constexpr std::size_t kSpectrum = statistics::column("freq_1");
    constexpr std::size_t kSpectrumEnd = statistics::column("peak_count");
    constexpr std::size_t kAngles = statistics::column("gravity_roll");
    constexpr std::size_t kAnglesEnd = statistics::column("enmo");
    const auto is_of_the_library = [](std::size_t i) {
        return (i >= kSpectrum && i < kSpectrumEnd) || (i >= kAngles && i < kAnglesEnd);
    };
    statistics::Workspace workspace;
    for (const std::string kind : kSignals) {
        for (const std::size_t n : {1, 2, 3, 7, 16, 33, 100, 250, 256, 257, 997, 1000, 1024, 3000}) {
            Floats features(statistics::kFeatureCount);
            statistics::compute_features(make_window(kind, n).data(), n, kRateHz, workspace, features.data());
            add_split(cases, "statistics_" + kind + "_" + std::to_string(n), features, is_of_the_library);
        }
    }
}

void add_movement(Cases& cases) {
    // Spectra and autocorrelation are made of sines; angles are arc tangents.
    constexpr std::size_t kOfChannel = statistics::movement_column("y_band_1");
    constexpr std::size_t kChannelsEnd = statistics::movement_column("corr_x_mag");
    constexpr std::size_t kCadence = statistics::movement_column("cadence");
    constexpr std::size_t kCadenceEnd = statistics::movement_column("up_x");
    constexpr std::size_t kAngles = statistics::movement_column("up_angle_xy");
    constexpr std::size_t kAnglesEnd = statistics::movement_column("vertical_std");
    const auto is_of_the_library = [](std::size_t i) {
        if (i < kChannelsEnd) return i % kOfChannel < statistics::kBands;
        return (i >= kCadence && i < kCadenceEnd) || (i >= kAngles && i < kAnglesEnd);
    };
    statistics::Workspace workspace;
    for (const std::string kind : kSignals) {
        for (const std::size_t n : {1, 2, 7, 33, 100, 256, 257, 997, 1000}) {
            Floats features(statistics::kMovementCount);
            statistics::compute_movement(make_window(kind, n).data(), n, kRateHz, workspace, features.data());
            add_split(cases, "movement_" + kind + "_" + std::to_string(n), features, is_of_the_library);
        }
    }
}

void add_persistence(Cases& cases) {
    persistence::Workspace workspace;
    for (const std::string kind : {"noise", "grid", "line", "far", "clusters"}) {
        for (const std::size_t n : {0, 1, 2, 3, 9, 33, 64, 65, 128, 200, 300}) {
            const auto points = make_cloud<double>(kind, n);
            const auto diagrams = persistence::rips_of_points(points.data(), n, 3,
                                                              std::numeric_limits<float>::max(), workspace);
            cases.push_back({"persistence_" + kind + "_" + std::to_string(n), kBits, flat(diagrams)});
        }
    }
}

void add_topology(Cases& cases) {
    const auto is_entropy = [](std::size_t i) { return i == 8 || i == 15; };
    topology::Workspace workspace;
    topology::StageSeconds seconds;
    for (const std::string kind : kSignals) {
        for (const std::size_t n : {1, 10, 21, 64, 100, 128, 250}) {
            const Floats window = make_window(kind, n);
            const std::string name = "topology_" + kind + "_" + std::to_string(n);
            Floats features(topology::kFeatureCount);
            topology::compute_features(window.data(), n, {1, 3, 5}, workspace, features.data(), seconds);
            add_split(cases, name, features, is_entropy);
            topology::compute_simplified_features(window.data(), n, workspace, features.data());
            add_split(cases, name + "_simplified", features, is_entropy);
        }
        // The filter before decimation is made of sines and cosines.
        const Floats window = make_window(kind, 1000);
        Floats features(topology::kFeatureCount);
        topology::compute_features(window.data(), 1000, {8, 3, 1}, workspace, features.data(), seconds);
        cases.push_back({"topology_" + kind + "_decimated", kRounding, features});
    }
}

void add_attention(Cases& cases) {
    ExactRandom random;
    for (const std::size_t n_tokens : {1, 12, 17, 33}) {
        const attention::Shape shape{3, n_tokens, 2, 28};
        const std::size_t n_out = shape.n_batch * n_tokens * shape.n_heads * shape.head_dim;
        const Floats qkv = random.floats(3 * n_out, kSpread);
        const Floats cos = random.floats(n_tokens * shape.head_dim / 2, kSpread);
        const Floats sin = random.floats(cos.size(), kSpread);
        const Floats grad_out = random.floats(n_out, kSpread);
        Floats out(n_out);
        Floats lse(shape.n_batch * shape.n_heads * n_tokens);
        Floats grad_qkv(3 * n_out);
        Floats dropped(qkv.size());
        const attention::Inputs inputs{shape, {7, 20000}, qkv.data(), cos.data(), sin.data()};
        attention::forward(inputs, {out.data(), lse.data()}, 1);
        attention::backward(inputs, {grad_out.data(), out.data(), lse.data(), grad_qkv.data()}, 1);
        attention::drop_values(qkv.data(), qkv.size(), inputs.dropout, dropped.data(), 1);
        const std::string name = "attention_" + std::to_string(n_tokens);
        cases.push_back({name, kRounding, out});
        cases.push_back({name + "_lse", kRounding, lse});
        cases.push_back({name + "_gradient", kRounding, grad_qkv});
        cases.push_back({name + "_dropout", kBits, dropped});
    }
}

void add_model(Cases& cases) {
    constexpr std::size_t kWindows = 5;
    ExactRandom random;
    for (const std::size_t n_tokens : {1, 7, 12, 33}) {
        const EncoderLayer layer({n_tokens, 2, 28, 100}, random);
        const Floats patches = random.floats(kWindows * n_tokens * 100, kSpread);
        const Floats features = random.floats(kWindows * 100, kSpread);
        model::Engine engine({n_tokens * 100, 100, 0, 0}, 2);
        layer.add_to(engine);
        Floats outputs(kWindows * EncoderLayer::kOutputs);
        engine.run({patches.data(), features.data(), nullptr, nullptr}, kWindows, outputs.data());
        const std::string name = "model_" + std::to_string(n_tokens);
        cases.push_back({name, kRounding, outputs});
        model::softmax(outputs.data(), kWindows, EncoderLayer::kOutputs);
        cases.push_back({name + "_softmax", kRounding, outputs});
    }
}

// Samples whose stamps wander, with lost ones among them, put on the grid.
void add_grid(Cases& cases) {
    ExactRandom random;
    stream::WindowBuffer buffer({kRateHz, 200, 50, 1e9});
    std::int64_t stamp = 1'700'000'000'000'000'000;
    Case windows{"stream_grid", kBits, {}};
    for (int i = 0; i < 2000; ++i) {
        stamp += 10'000'000 + static_cast<std::int64_t>(500'000.0 * random.normal());
        if (i % 700 == 699) stamp += 2'000'000'000;
        const Floats sample = random.floats(3, 1.0F);
        for (std::size_t first = 0;;) {
            first = buffer.feed(sample.data(), &stamp, first, 1);
            if (!buffer.ready()) break;
            windows.values.insert(windows.values.end(), buffer.window(), buffer.window() + 600);
        }
    }
    cases.push_back(windows);
}

// Samples with jitter and repeats, on finer, coarser and longer grids.
void add_interpolation(Cases& cases) {
    constexpr std::size_t kSamples = 500;
    constexpr std::int64_t kPeriodNs = 10'000'000;
    ExactRandom random;
    const Floats samples = random.floats(stream::kAxes * kSamples, kSpread);
    std::vector<std::int64_t> stamps(kSamples);
    for (std::size_t i = 1; i < kSamples; ++i) {
        const auto jitter_ns = static_cast<std::int64_t>(random.uniform() * 1e6);
        stamps[i] = stamps[i - 1] + (i % 50 == 0 ? 0 : kPeriodNs + jitter_ns);
    }
    for (const std::int64_t step_ns : {3'333'333, 10'000'000, 33'000'000}) {
        std::vector<std::int64_t> grid;
        for (std::int64_t at_ns = -kPeriodNs; at_ns < stamps.back() + kPeriodNs; at_ns += step_ns) {
            grid.push_back(at_ns);
        }
        std::vector<double> points(stream::kAxes * grid.size());
        stream::interpolate(stamps.data(), samples.data(), kSamples, grid.data(), grid.size(), points.data());
        Case found{"interpolation_" + std::to_string(step_ns), kBits, {}};
        for (const double point : points) found.values.push_back(static_cast<float>(point));
        cases.push_back(found);
    }
}

std::vector<double> probabilities(ExactRandom& random, std::size_t n) {
    std::vector<double> values;
    double sum = 0.0;
    for (std::size_t i = 0; i < n; ++i) sum += values.emplace_back(0.01 + std::fabs(random.normal()));
    for (double& value : values) value /= sum;
    return values;
}

// With an exponent of 1 no power is taken.
void add_smoother(Cases& cases, double exponent) {
    constexpr std::size_t kClasses = 4;
    ExactRandom random;
    std::vector<double> transitions;
    std::vector<double> emissions;
    for (std::size_t i = 0; i < kClasses; ++i) {
        for (const double value : probabilities(random, kClasses)) transitions.push_back(value);
        for (const double value : probabilities(random, kClasses)) emissions.push_back(value);
    }
    stream::CausalSmoother smoother({probabilities(random, kClasses), transitions, emissions, exponent}, 3);
    Case posteriors{
        exponent == 1.0 ? "smoother" : "smoother_power", exponent == 1.0 ? kBits : kLastPlace, {}};
    std::vector<double> posterior(kClasses);
    for (int t = 0; t < 200; ++t) {
        if (!smoother.observe(probabilities(random, kClasses).data())) throw std::logic_error("impossible");
        smoother.filtered(posterior.data());
        for (const double value : posterior) posteriors.values.push_back(static_cast<float>(value));
        smoother.look_ahead(smoother.n_held() - 1, posterior.data());
        for (const double value : posterior) posteriors.values.push_back(static_cast<float>(value));
    }
    cases.push_back(posteriors);
}

Cases all_cases() {
    Cases cases;
    add_statistics(cases);
    add_movement(cases);
    add_persistence(cases);
    add_topology(cases);
    add_attention(cases);
    add_model(cases);
    add_grid(cases);
    add_interpolation(cases);
    add_smoother(cases, 1.0);
    add_smoother(cases, 0.5);
    return cases;
}

}  // namespace

void run(const Arguments& arguments) {
    cpu::select_isa(arguments.empty() ? "baseline" : arguments[0]);
    for (const auto& [name, agreement, values] : all_cases()) {
        std::printf("%s %s", name.c_str(), agreement.c_str());
        for (const float value : values) {
            std::uint32_t bits = 0;
            std::memcpy(&bits, &value, sizeof bits);
            std::printf(" %x", bits);
        }
        std::puts("");
    }
}

}  // namespace patchtst_har::tests
