// Runs the steps of the engine over widths around every lane edge, in every instruction set and precision
// that there is, and compares the results. Counts allocations after the first pass.
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "cpu/isa.hpp"
#include "model/engine.hpp"
#include "tests/allocations.hpp"
#include "tests/encoder_layer.hpp"

namespace {

namespace cpu = patchtst_har::cpu;
namespace model = patchtst_har::model;
using patchtst_har::tests::EncoderLayer;
using patchtst_har::tests::ExactRandom;
using patchtst_har::tests::Floats;

constexpr std::size_t kWindows = 7;
constexpr std::size_t kBlock = 3;
constexpr float kSpread = 0.5F;
constexpr float kTolerance = 1e-4F;
constexpr float kRoundedTolerance = 5e-2F;

struct Variant {
    std::string isa;
    model::Precision precision;
    float tolerance;
};

void fail(const Variant& variant, const EncoderLayer& layer, const char* what) {
    const auto& [n_tokens, n_heads, head_dim, length] = layer.shape();
    std::fprintf(stderr, "%s%s, %zu tokens, %zu heads of %zu, %zu samples: %s\n", variant.isa.c_str(),
                 variant.precision == model::Precision::kBfloat16 ? " in bfloat16" : "", n_tokens, n_heads,
                 head_dim, length, what);
    std::exit(1);
}

std::vector<Variant> variants() {
    std::vector<Variant> result;
    for (const auto& isa : cpu::available_isas()) {
        result.push_back({isa, model::Precision::kFloat32, kTolerance});
        if (isa == cpu::name_of(cpu::Isa::kAvx512) && cpu::has_feature("avx512_bf16")) {
            result.push_back({isa, model::Precision::kBfloat16, kRoundedTolerance});
        }
    }
    return result;
}

void sweep(const EncoderLayer& layer, const std::vector<Variant>& variants, ExactRandom& random) {
    const auto& shape = layer.shape();
    const Floats patches = random.floats(kWindows * shape.n_tokens * shape.length, kSpread);
    const Floats features = random.floats(kWindows * shape.length, kSpread);
    const std::array<const float*, model::kInputs> inputs{patches.data(), features.data(), nullptr, nullptr};
    Floats expected(kWindows * EncoderLayer::kOutputs);
    for (const auto& variant : variants) {
        cpu::select_isa(variant.isa);
        model::Engine engine({shape.n_tokens * shape.length, shape.length, 0, 0}, kBlock, variant.precision);
        layer.add_to(engine);
        Floats outputs(expected.size());
        engine.run(inputs, kWindows, outputs.data());
        const std::size_t before = n_allocations;
        engine.run(inputs, kWindows, outputs.data());
        if (n_allocations != before || engine.n_workspaces_made() != 1) {
            fail(variant, layer, "allocates after the first pass");
        }
        if (&variant == &variants.front()) expected = outputs;
        for (std::size_t i = 0; i < outputs.size(); ++i) {
            const float tolerance = variant.tolerance * (1.0F + std::fabs(expected[i]));
            if (!(std::fabs(outputs[i] - expected[i]) <= tolerance)) {
                fail(variant, layer, "differs from the first instruction set");
            }
        }
    }
}

}  // namespace

int main() {
    const std::vector<Variant> all = variants();
    const std::size_t sizes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 15, 16, 17, 31, 32, 33, 65};
    ExactRandom random(1);  // the same values in every run
    std::size_t n_layers = 0;
    for (const std::size_t n_tokens : sizes) {
        for (const std::size_t half : {1, 2, 3, 7, 8, 9, 14, 16, 33}) {
            for (const std::size_t n_heads : {1, 2, 3}) {
                sweep({{n_tokens, n_heads, 2 * half, 1 + (n_tokens * half) % 37}, random}, all, random);
                ++n_layers;
            }
        }
    }
    std::printf("%zu layers, %zu instruction sets and precisions: the same to rounding\n", n_layers,
                all.size());
    return 0;
}
