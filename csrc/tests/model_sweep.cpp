// Runs the steps of the engine over widths around every lane edge, in every instruction set, and compares
// the results. Counts allocations after the first pass.
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "cpu/isa.hpp"
#include "model/engine.hpp"
#include "tests/encoder_layer.hpp"

namespace {

std::size_t n_allocations = 0;

}  // namespace

void* operator new(std::size_t size) {
    ++n_allocations;
    void* memory = std::malloc(size);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t /*size*/) noexcept {
    std::free(memory);
}

namespace {

namespace cpu = patchtst_har::cpu;
namespace model = patchtst_har::model;
using patchtst_har::tests::EncoderLayer;
using patchtst_har::tests::ExactRandom;
using patchtst_har::tests::Floats;

constexpr std::size_t kWindows = 7;
constexpr std::size_t kBlock = 3;
constexpr float kSpread = 0.5F;

void fail(const std::string& isa, const EncoderLayer& layer, const char* what) {
    const auto& [n_tokens, n_heads, head_dim, length] = layer.shape();
    std::fprintf(stderr, "%s, %zu tokens, %zu heads of %zu, %zu samples: %s\n", isa.c_str(), n_tokens,
                 n_heads, head_dim, length, what);
    std::exit(1);
}

void sweep(const EncoderLayer& layer, ExactRandom& random) {
    const auto& shape = layer.shape();
    const Floats patches = random.floats(kWindows * shape.n_tokens * shape.length, kSpread);
    const Floats features = random.floats(kWindows * shape.length, kSpread);
    const std::array<const float*, model::kInputs> inputs{patches.data(), features.data(), nullptr, nullptr};
    Floats expected(kWindows * EncoderLayer::kOutputs);
    for (const auto& isa : cpu::available_isas()) {
        cpu::select_isa(isa);
        model::Engine engine({shape.n_tokens * shape.length, shape.length, 0, 0}, kBlock);
        layer.add_to(engine);
        Floats outputs(expected.size());
        engine.run(inputs, kWindows, outputs.data());
        const std::size_t before = n_allocations;
        engine.run(inputs, kWindows, outputs.data());
        if (n_allocations != before || engine.n_workspaces_made() != 1) {
            fail(isa, layer, "allocates after the first pass");
        }
        if (isa == cpu::available_isas().front()) expected = outputs;
        for (std::size_t i = 0; i < outputs.size(); ++i) {
            const float tolerance = 1e-4F * (1.0F + std::fabs(expected[i]));
            if (!(std::fabs(outputs[i] - expected[i]) <= tolerance)) {
                fail(isa, layer, "differs from the first instruction set");
            }
        }
    }
}

}  // namespace

int main() {
    const std::size_t sizes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 15, 16, 17, 31, 32, 33, 65};
    ExactRandom random(1);  // the same values in every run
    std::size_t n_layers = 0;
    for (const std::size_t n_tokens : sizes) {
        for (const std::size_t half : {1, 2, 3, 7, 8, 9, 14, 16, 33}) {
            for (const std::size_t n_heads : {1, 2, 3}) {
                sweep({{n_tokens, n_heads, 2 * half, 1 + (n_tokens * half) % 37}, random}, random);
                ++n_layers;
            }
        }
    }
    std::printf("%zu layers, %zu instruction sets: the same to rounding\n", n_layers,
                cpu::available_isas().size());
    return 0;
}
