// Runs the steps of the engine over widths around every lane edge, in every instruction set and precision
// that there is, and compares the results. Counts allocations after the first pass.
#include <cstdio>

#include "tests/encoder_layer.hpp"
#include "tests/sweep.hpp"

namespace patchtst_har::tests {
namespace {

constexpr std::size_t kWindows = 7;
constexpr std::size_t kBlock = 3;
constexpr float kSpread = 0.5F;

struct Variant {
    std::string isa, name;
    model::Precision precision;
    float tolerance;
};

std::vector<Variant> variants() {
    std::vector<Variant> result;
    for (const auto& isa : cpu::available_isas()) {
        result.push_back({isa, isa, model::Precision::kFloat32, 1e-4F});
        if (isa == cpu::name_of(cpu::Isa::kAvx512) && cpu::has_feature("avx512_bf16")) {
            result.push_back({isa, isa + " in bfloat16", model::Precision::kBfloat16, 5e-2F});
        }
    }
    return result;
}

void compare(const EncoderLayer& layer, const std::vector<Variant>& variants, ExactRandom& random) {
    const auto& [n_tokens, n_heads, head_dim, length] = layer.shape();
    const Floats patches = random.floats(kWindows * n_tokens * length, kSpread);
    const Floats features = random.floats(kWindows * length, kSpread);
    Floats expected;
    for (const auto& variant : variants) {
        const std::string where = variant.name + ", " + std::to_string(n_tokens) + " tokens, " +
                                  std::to_string(n_heads) + " heads of " + std::to_string(head_dim) + ", " +
                                  std::to_string(length) + " samples";
        cpu::select_isa(variant.isa);
        model::Engine engine({n_tokens * length, length, 0, 0}, kBlock, variant.precision);
        layer.add_to(engine);
        Floats outputs(kWindows * EncoderLayer::kOutputs);
        const auto compute = [&] {
            engine.run({patches.data(), features.data(), nullptr, nullptr}, kWindows, outputs.data());
        };
        compute();
        require_no_allocation(where, compute);
        if (engine.n_workspaces_made() != 1) fail(where, "has more than one workspace");
        if (expected.empty()) expected = outputs;
        for (std::size_t i = 0; i < outputs.size(); ++i) {
            const float tolerance = variant.tolerance * (1.0F + std::fabs(expected[i]));
            if (!(std::fabs(outputs[i] - expected[i]) <= tolerance)) {
                fail(where, "differs from the first instruction set");
            }
        }
    }
}

}  // namespace

void run(const Arguments& /*arguments*/) {
    const std::vector<Variant> all = variants();
    ExactRandom random;
    std::size_t n_layers = 0;
    for (const std::size_t n_tokens : {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 15, 16, 17, 31, 32, 33, 65}) {
        for (const std::size_t half : {1, 2, 3, 7, 8, 9, 14, 16, 33}) {
            for (const std::size_t n_heads : {1, 2, 3}) {
                compare({{n_tokens, n_heads, 2 * half, 1 + (n_tokens * half) % 37}, random}, all, random);
                ++n_layers;
            }
        }
    }
    std::printf("%zu layers, %zu instruction sets and precisions: the same to rounding\n", n_layers,
                all.size());
}

}  // namespace patchtst_har::tests
