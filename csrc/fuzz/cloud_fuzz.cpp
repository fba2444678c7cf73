// Persistence of clouds and of matrices of distances: the same bars in every instruction set, in order and of
// positive length.
#include <limits>

#include "fuzz/fuzz.hpp"
#include "tests/inputs.hpp"

namespace patchtst_har::fuzz {
namespace {

void check(const std::string& where, const persistence::Diagrams& diagrams, std::size_t n_points,
           float max_edge) {
    if (diagrams.n_h0 >= (n_points == 0 ? 1 : n_points)) fail(where, "has more bars than points");
    const auto require_bars = [&](const persistence::Bar* bars, std::size_t n) {
        for (std::size_t i = 0; i < n; ++i) {
            const bool fits =
                bars[i].birth >= 0.0F && bars[i].birth < bars[i].death && bars[i].death <= max_edge;
            if (!fits) fail(where, "has a bar that cannot be");
        }
    };
    require_bars(diagrams.h0, diagrams.n_h0);
    require_bars(diagrams.h1, diagrams.n_h1);
}

}  // namespace

void fuzz(Input& input) {
    static persistence::Workspace used;
    const bool is_matrix = input.flag();
    const std::size_t n = input.between(0, input.flag() ? 12 : 140);
    const std::size_t dimension = is_matrix ? n : input.between(1, 4);
    const float scale = input.flag() ? 1.0F : static_cast<float>(input.between(1, 1U << 30U));
    const float max_edge = input.flag() ? std::numeric_limits<float>::max() : 1.0F + input.moderate();
    Floats values = input.floats(n * dimension, false);
    for (float& value : values) value = is_matrix && value < 0.0F ? -value * scale : value * scale;
    tests::require_same_in_every_set("cloud", [&](const std::string& where) {
        persistence::Workspace fresh;
        const auto compute = [&](persistence::Workspace& memory) {
            const auto diagrams =
                is_matrix ? persistence::rips_of_distances(values.data(), n, max_edge, memory)
                          : persistence::rips_of_points(values.data(), n, dimension, max_edge, memory);
            check(where, diagrams, n, max_edge);
            return tests::flat(diagrams);
        };
        Floats bars = compute(fresh);
        if (!tests::same_bits(bars, compute(used))) fail(where, "depends on earlier clouds");
        return bars;
    });
}

}  // namespace patchtst_har::fuzz
