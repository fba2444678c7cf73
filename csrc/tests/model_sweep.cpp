// Runs the steps of the engine over widths around every lane edge, in every instruction set, and compares
// the results. Counts allocations after the first pass.
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "cpu/isa.hpp"
#include "model/engine.hpp"

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
using Floats = std::vector<float>;

constexpr std::size_t kWindows = 7;
constexpr std::size_t kBlock = 3;
constexpr std::size_t kOutputs = 3;

Floats random_floats(std::size_t n, float spread = 0.5F) {
    // The same values in every run.
    static std::mt19937 generator(1);  // NOLINT(bugprone-random-generator-seed)
    std::normal_distribution<float> normal(0.0F, spread);
    Floats values(n);
    for (float& value : values) value = normal(generator);
    return values;
}

std::size_t padded(std::size_t n) {
    return (n + model::kAlignment - 1) / model::kAlignment * model::kAlignment;
}

// One encoder layer of a single branch: patches -> tokens -> norm -> attention -> product -> pooled ->
// outputs.
struct Layer {
    std::size_t n_tokens, n_heads, head_dim, length;
    std::size_t width = n_heads * head_dim;
    Floats embed = random_floats(width * length), embed_bias = random_floats(width);
    Floats gain = random_floats(width), bias = random_floats(width);
    // Moderate scores: differences in rounding must not be magnified.
    Floats qkv = random_floats(3 * width * width, 0.5F / std::sqrt(static_cast<float>(width))),
           qkv_bias = random_floats(3 * width);
    Floats cos = random_floats(n_tokens * head_dim / 2), sin = random_floats(n_tokens * head_dim / 2);
    Floats query = random_floats(width), head = random_floats(kOutputs * width);
    Floats mean = random_floats(length), inverse_std = random_floats(length);

    void add_to(model::Engine& engine) const {
        const std::size_t row = padded(width);
        const std::size_t last_head = width - head_dim + padded(head_dim);
        const std::size_t qkv_row = padded(2 * width + last_head);
        const auto rows = [&](std::size_t length_of_row) {
            return model::Place{engine.add_buffer(n_tokens * length_of_row), 0, length_of_row, 0};
        };
        const model::Place tokens = rows(row);
        const model::Place projected = rows(qkv_row);
        const model::Place mixed = rows(padded(last_head));
        const model::Place scaled{engine.add_buffer(length), 0, 0, 0};
        const model::Place pooled{engine.add_buffer(width), 0, 0, 0};
        const model::Place outputs{engine.add_buffer(kOutputs), 0, 0, 0};
        const Floats none(kOutputs, 0.0F);
        engine.add_linear({0, 0, length, 0}, tokens, {n_tokens, 1}, {1, length, 0}, width, embed.data(),
                          embed_bias.data(), model::Activation::kGelu, false);
        engine.add_standardise({1, 0, 0, 0}, scaled, length, mean.data(), inverse_std.data(), 1.0F);
        engine.add_linear(scaled, tokens, {1, 1}, {1, length, 0}, width, embed.data(), embed_bias.data(),
                          model::Activation::kRelu, true);
        engine.add_normalise(tokens, tokens, n_tokens, width, gain.data(), bias.data(), 1e-5F);
        engine.add_linear(tokens, projected, {n_tokens, 1}, {1, width, 0}, 3 * width, qkv.data(),
                          qkv_bias.data(), model::Activation::kNone, false);
        engine.add_attention(projected, mixed, n_tokens, n_heads, head_dim, cos.data(), sin.data());
        engine.add_linear(mixed, tokens, {n_tokens, 1}, {1, width, 0}, width, qkv.data(), bias.data(),
                          model::Activation::kNone, true);
        engine.add_pool(tokens, pooled, n_tokens, width, query.data());
        engine.add_linear(pooled, outputs, {1, 1}, {1, width, 0}, kOutputs, head.data(), none.data(),
                          model::Activation::kNone, false);
        engine.set_outputs(outputs.buffer, kOutputs);
    }
};

void fail(const std::string& isa, const Layer& layer, const char* what) {
    std::fprintf(stderr, "%s, %zu tokens, %zu heads of %zu, %zu samples: %s\n", isa.c_str(), layer.n_tokens,
                 layer.n_heads, layer.head_dim, layer.length, what);
    std::exit(1);
}

void sweep(const Layer& layer) {
    const Floats patches = random_floats(kWindows * layer.n_tokens * layer.length);
    const Floats features = random_floats(kWindows * layer.length);
    const std::array<const float*, model::kInputs> inputs{patches.data(), features.data(), nullptr, nullptr};
    Floats expected(kWindows * kOutputs);
    for (const auto& isa : cpu::available_isas()) {
        cpu::select_isa(isa);
        model::Engine engine({layer.n_tokens * layer.length, layer.length, 0, 0}, kBlock);
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
    std::size_t n_layers = 0;
    for (const std::size_t n_tokens : sizes) {
        for (const std::size_t half : {1, 2, 3, 7, 8, 9, 14, 16, 33}) {
            for (const std::size_t n_heads : {1, 2, 3}) {
                sweep(Layer{n_tokens, n_heads, 2 * half, 1 + (n_tokens * half) % 37});
                ++n_layers;
            }
        }
    }
    std::printf("%zu layers, %zu instruction sets: the same to rounding\n", n_layers,
                cpu::available_isas().size());
    return 0;
}
