// The features of a window, of any length and any bits: the same and finite in every instruction set, also
// with memory that served other windows.
#include "fuzz/fuzz.hpp"
#include "statistics/statistics.hpp"
#include "topology/topology.hpp"

namespace patchtst_har::fuzz {
namespace {

Floats features_of(const Floats& window, double rate_hz, const topology::Embedding& embedding,
                   topology::Workspace& memory) {
    const std::size_t n = window.size() / 3;
    constexpr std::size_t kStatistical = statistics::kFeatureCount + statistics::kMovementCount;
    Floats features(kStatistical + 2 * topology::kFeatureCount);
    topology::StageSeconds seconds;
    float* topological = features.data() + kStatistical;
    statistics::compute_features(window.data(), n, rate_hz, memory.statistics, features.data());
    statistics::compute_movement(window.data(), n, rate_hz, memory.statistics,
                                 features.data() + statistics::kFeatureCount);
    if (topology::count_points(n, embedding) <= 150) {
        topology::compute_features(window.data(), n, embedding, memory, topological, seconds);
    }
    topology::compute_simplified_features(window.data(), n, memory, topological + topology::kFeatureCount);
    return features;
}

}  // namespace

void fuzz(Input& input) {
    static topology::Workspace used;
    const std::size_t n = input.between(1, input.flag() ? 40 : 300);
    const double rate_hz = input.flag() ? 100.0 : static_cast<double>(input.between(1, 1'000'000)) / 997.0;
    const topology::Embedding embedding{input.between(1, n), input.between(1, 6), input.between(1, n)};
    const Floats window = input.floats(3 * n, input.flag());
    tests::require_same_in_every_set("window", [&](const std::string& where) {
        topology::Workspace fresh;
        const Floats features = features_of(window, rate_hz, embedding, fresh);
        tests::require_finite(where, features);
        if (!tests::same_bits(features, features_of(window, rate_hz, embedding, used))) {
            fail(where, "depends on earlier windows");
        }
        return features;
    });
}

}  // namespace patchtst_har::fuzz
