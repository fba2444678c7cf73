// The engine with steps at any places, an encoder layer, attention for training, and a window classified in
// one call: what is accepted stays in its memory; moderate values stay finite and agree in every instruction
// set.
#include <array>
#include <cmath>

#include "attention/attention.hpp"
#include "fuzz/fuzz.hpp"
#include "model/familiarity.hpp"
#include "statistics/statistics.hpp"
#include "stream/window_classifier.hpp"
#include "tests/encoder_layer.hpp"
#include "topology/topology.hpp"

namespace patchtst_har::fuzz {
namespace {

constexpr std::size_t kMostBlock = 3;
constexpr std::size_t kMostWidth = 40;

void require_close(const std::string& where, const Floats& a, const Floats& b) {
    tests::require_finite(where, a);
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (!(std::fabs(a[i] - b[i]) <= 2e-3F * (1.0F + std::fabs(b[i])))) {
            fail(where, "differs from the first instruction set");
        }
    }
}

// compute() gives floats that agree in all instruction sets.
template <typename Compute>
void require_close_in_every_set(const std::string& what, const Compute& compute) {
    Floats expected;
    for (const auto& isa : cpu::available_isas()) {
        cpu::select_isa(isa);
        const Floats found = compute();
        if (isa == cpu::available_isas().front()) expected = found;
        std::string where = isa;
        where.append(", ").append(what);
        require_close(where, found, expected);
    }
}

model::Place place(Input& input, std::size_t n_buffers) {
    const auto number = [&] { return input.between(0, input.flag() ? 40 : SIZE_MAX); };
    return {input.between(0, n_buffers), input.flag() ? 0 : number(), number(), number()};
}

// Adds a step of any kind; the engine refuses what would leave its buffers.
void add_step(model::Engine& engine, Input& input, std::size_t n_buffers) {
    const std::size_t width = input.between(0, 40);
    const std::size_t n_rows = input.between(0, 5);
    const model::Place source = place(input, n_buffers);
    const model::Place target = place(input, n_buffers);
    const Floats a = input.floats(4 * kMostWidth * kMostWidth, false);
    const Floats b = input.floats(kMostWidth * kMostWidth, false);
    switch (input.between(0, 6)) {
        case 0:
            return engine.add_linear(source, target, {n_rows, input.between(0, 3)},
                                     {input.between(0, 3), input.between(0, 40), input.between(0, 40)}, width,
                                     a.data(), b.data(), model::Activation(input.between(0, 2)),
                                     input.flag());
        case 1:
            return engine.add_standardise(source, target, width, a.data(), b.data(), 3.0F);
        case 2:
            return engine.add_quantiles(source, target, width, input.between(0, 4), a.data(), b.data(), 2.0F);
        case 3:
            return engine.add_constant(target, width, a.data());
        case 4:
            return engine.add_normalise(source, target, n_rows, width, a.data(), b.data(), 1e-5F);
        case 5:
            return engine.add_attention(source, target, input.between(0, 6), input.between(0, 3),
                                        input.between(0, 12), a.data(), b.data());
        default:
            return engine.add_pool(source, target, n_rows, width, model::Pooling(input.between(0, 2)),
                                   a.data());
    }
}

void engine_of_any_steps(Input& input) {
    const std::array<std::size_t, model::kInputs> sizes{input.between(0, 60), input.between(0, 4),
                                                        input.between(0, 60), 0};
    cpu::select_isa(cpu::available_isas()[input.between(0, cpu::available_isas().size() - 1)]);
    model::Engine engine(sizes, input.between(1, kMostBlock));
    std::size_t n_buffers = model::kInputs;
    for (std::size_t i = input.between(1, 3); i > 0; --i) {
        n_buffers = engine.add_buffer(input.between(0, 200)) + 1;
    }
    for (std::size_t i = input.between(1, 5); i > 0; --i) {
        try {
            add_step(engine, input, n_buffers);
        } catch (const std::invalid_argument&) {
            continue;
        }
    }
    const std::size_t n_outputs = input.between(0, 40);
    engine.set_outputs({input.between(0, n_buffers), input.between(0, 40), 0, 0}, n_outputs);
    const std::size_t n_windows = input.between(0, 5);
    std::array<Floats, model::kInputs> given;
    std::array<const float*, model::kInputs> inputs{};
    for (std::size_t i = 0; i < given.size(); ++i) {
        given[i] = input.floats(sizes[i] * n_windows, false);
        inputs[i] = given[i].data();
    }
    Floats outputs(n_windows * n_outputs);
    engine.run(inputs, n_windows, outputs.data());
}

void encoder(Input& input) {
    const tests::LayerShape shape{input.between(1, 20), input.between(1, 3), 2 * input.between(1, 12),
                                  input.between(1, 30)};
    const std::size_t n_windows = input.between(1, 4);
    const Floats patches = input.floats(n_windows * shape.n_tokens * shape.length, false);
    const Floats features = input.floats(n_windows * shape.length, false);
    require_close_in_every_set("encoder", [&] {
        tests::ExactRandom random;
        const tests::EncoderLayer layer(shape, random);
        model::Engine engine({shape.n_tokens * shape.length, shape.length, 0, 0}, kMostBlock);
        layer.add_to(engine);
        Floats outputs(n_windows * tests::EncoderLayer::kOutputs);
        engine.run({patches.data(), features.data(), nullptr, nullptr}, n_windows, outputs.data());
        return outputs;
    });
}

void attention_for_training(Input& input) {
    const attention::Shape shape{input.between(1, 2), input.between(1, 20), input.between(1, 3),
                                 2 * input.between(1, 20)};
    const std::size_t n_out = shape.n_batch * shape.n_tokens * shape.n_heads * shape.head_dim;
    const attention::Dropout dropout{input.between(0, SIZE_MAX),
                                     static_cast<std::uint32_t>(input.flag() ? 0 : input.between(0, 65535))};
    const std::size_t n_threads = input.between(1, 3);
    const Floats cos = input.floats(shape.n_tokens * shape.head_dim / 2, false);
    const Floats sin = input.floats(cos.size(), false);
    const Floats grad_out = input.floats(n_out, false);
    // Scores of thousands stay finite, but their rounding is magnified.
    const float scale = input.flag() ? 60.0F : 1.0F;
    Floats qkv = input.floats(3 * n_out, false);
    for (float& value : qkv) value *= scale;
    require_close_in_every_set("attention", [&] {
        Floats out(n_out);
        Floats lse(shape.n_batch * shape.n_heads * shape.n_tokens);
        Floats grad_qkv(3 * n_out);
        Floats dropped(n_out);
        const attention::Inputs inputs{shape, dropout, qkv.data(), cos.data(), sin.data()};
        attention::forward(inputs, {out.data(), lse.data()}, n_threads);
        attention::backward(inputs, {grad_out.data(), out.data(), lse.data(), grad_qkv.data()}, n_threads);
        attention::drop_values(qkv.data(), n_out, dropout, dropped.data(), n_threads);
        const float kept = 1.0F - static_cast<float>(dropout.threshold) / 65536.0F;
        for (float& value : grad_qkv) value *= kept * kept;  // what is kept was scaled up
        for (float& value : out) value *= kept;
        out.insert(out.end(), lse.begin(), lse.end());
        out.insert(out.end(), grad_qkv.begin(), grad_qkv.end());
        tests::require_finite("dropout", dropped);
        tests::require_finite("attention", out);
        return scale == 1.0F ? out : Floats{};
    });
}

void classifier(Input& input) {
    const std::size_t window_size = input.between(1, 120);
    const stream::ClassifierOptions options{100.0,
                                            window_size,
                                            input.between(1, window_size),
                                            input.between(1, window_size),
                                            input.flag(),
                                            input.flag(),
                                            topology::Embedding{1, 2, input.between(1, window_size)}};
    const std::size_t n_patches = (window_size - options.patch_len) / options.patch_hop + 1;
    const std::size_t n_statistics = (options.uses_statistics ? statistics::kFeatureCount : 0) +
                                     (options.uses_movement ? statistics::kMovementCount : 0);
    const Floats window = input.floats(3 * window_size, input.flag());
    static stream::Workspace workspace;
    cpu::select_isa(cpu::available_isas()[input.between(0, cpu::available_isas().size() - 1)]);
    model::Engine engine({3 * n_patches * options.patch_len, 0, n_statistics, 24}, 1);
    const model::Place outputs{engine.add_buffer(16), 0, 1, 1};
    const Floats ones(std::size_t{16} * 24, 0.01F);
    engine.add_linear({3, 0, 1, 1}, outputs, {1, 1}, {1, 24, 0}, 4, ones.data(), ones.data(),
                      model::Activation::kNone, false);
    engine.set_outputs(outputs, 4);
    engine.set_embedding(outputs, 4);
    const model::Familiarity familiarity(4, 2, 3, ones.data(), ones.data(), ones.data());
    const stream::WindowClassifier made(engine, options, input.flag() ? &familiarity : nullptr);
    std::vector<double> probabilities(4);
    double distance = 0.0;
    made.classify(window.data(), nullptr, workspace, probabilities.data(), distance);
}

}  // namespace

void fuzz(Input& input) {
    const std::size_t kind = input.between(0, 4);
    if (kind == 0) return encoder(input);
    if (kind == 1) return attention_for_training(input);
    if (kind == 2) return classifier(input);
    engine_of_any_steps(input);
}

}  // namespace patchtst_har::fuzz
