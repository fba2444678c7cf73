// Everything that may be called from several threads at once, called so: features with a workspace each, one
// engine and one classifier for all, attention whose calls share the pool of threads. Each thread must get
// what one alone gets. For the thread sanitizer.
#include <cstdio>
#include <functional>
#include <thread>

#include "attention/attention.hpp"
#include "model/familiarity.hpp"
#include "statistics/statistics.hpp"
#include "stream/window_classifier.hpp"
#include "tests/encoder_layer.hpp"
#include "tests/inputs.hpp"
#include "tests/sweep.hpp"
#include "topology/topology.hpp"

namespace patchtst_har::tests {
namespace {

constexpr std::size_t kThreads = 4;
constexpr std::size_t kTurns = 3;

// compute(turn) gives the same in every thread.
void require_same_in_threads(const std::string& what, const std::function<Floats(std::size_t)>& compute) {
    std::vector<Floats> expected;
    expected.reserve(kTurns);
    for (std::size_t turn = 0; turn < kTurns; ++turn) expected.push_back(compute(turn));
    std::vector<std::thread> threads;
    threads.reserve(kThreads);
    for (std::size_t i = 0; i < kThreads; ++i) {
        threads.emplace_back([&, i] {
            for (std::size_t turn = 0; turn < 2 * kTurns; ++turn) {
                const std::size_t own = (turn + i) % kTurns;
                if (!same_bits(compute(own), expected[own])) fail(what, "differs in a thread");
            }
        });
    }
    for (auto& thread : threads) thread.join();
}

void share_engine() {
    constexpr std::size_t kWindows = 5;
    constexpr LayerShape kShape{12, 2, 28, 100};
    constexpr std::size_t kPatches = kShape.n_tokens * kShape.length;
    ExactRandom random;
    const EncoderLayer layer(kShape, random);
    const Floats patches = random.floats(kWindows * kPatches, 0.5F);
    const Floats features = random.floats(kWindows * kShape.length, 0.5F);
    model::Engine engine({kPatches, kShape.length, 0, 0}, 2);
    layer.add_to(engine);
    require_same_in_threads("engine", [&](std::size_t turn) {
        Floats outputs((kWindows - turn) * EncoderLayer::kOutputs);
        engine.run({patches.data(), features.data(), nullptr, nullptr}, kWindows - turn, outputs.data());
        return outputs;
    });
}

void share_classifier() {
    constexpr std::size_t kSamples = 200;
    constexpr std::size_t kFeatures = statistics::kFeatureCount + statistics::kMovementCount;
    model::Engine engine({kSamples * 3, 0, kFeatures, topology::kFeatureCount}, 1);
    const model::Place outputs{engine.add_buffer(16), 0, 1, 1};
    ExactRandom random;
    const Floats weights = random.floats(4 * kFeatures, 0.01F);
    engine.add_linear({2, 0, 1, 1}, outputs, {1, 1}, {1, kFeatures, 0}, 4, weights.data(), weights.data(),
                      model::Activation::kNone, false);
    engine.set_outputs(outputs, 4);
    engine.set_embedding(outputs, 4);
    const model::Familiarity familiarity(4, 2, 3, weights.data(), weights.data(), weights.data());
    const stream::WindowClassifier classifier(
        engine, {100.0, kSamples, 20, 20, true, true, topology::Embedding{2, 3, 1}}, &familiarity);
    require_same_in_threads("classifier", [&](std::size_t turn) {
        const Floats window = make_window(kSignals[turn], kSamples);
        stream::Workspace workspace;
        std::vector<double> probabilities(4);
        double distance = 0.0;
        classifier.classify(window.data(), nullptr, workspace, probabilities.data(), distance);
        Floats result(probabilities.begin(), probabilities.end());
        result.push_back(static_cast<float>(distance));
        return result;
    });
}

void share_pool() {
    ExactRandom random;
    const attention::Shape shape{4, 12, 4, 28};
    const std::size_t n_out = shape.n_batch * shape.n_tokens * shape.n_heads * shape.head_dim;
    const Floats qkv = random.floats(3 * n_out, 0.5F);
    const Floats cos = random.floats(shape.n_tokens * shape.head_dim / 2, 0.5F);
    const Floats sin = random.floats(cos.size(), 0.5F);
    const Floats grad_out = random.floats(n_out, 0.5F);
    require_same_in_threads("attention", [&](std::size_t turn) {
        const attention::Inputs inputs{shape, {7, 20000}, qkv.data(), cos.data(), sin.data()};
        Floats out(n_out);
        Floats lse(shape.n_batch * shape.n_heads * shape.n_tokens);
        Floats grad_qkv(3 * n_out);
        attention::forward(inputs, {out.data(), lse.data()}, turn + 1);
        attention::backward(inputs, {grad_out.data(), out.data(), lse.data(), grad_qkv.data()}, turn + 1);
        attention::drop_values(qkv.data(), n_out, inputs.dropout, out.data(), turn + 1);
        grad_qkv.insert(grad_qkv.end(), out.begin(), out.end());
        return grad_qkv;
    });
}

}  // namespace

void run(const Arguments& /*arguments*/) {
    for (const auto& isa : cpu::available_isas()) {
        cpu::select_isa(isa);
        share_engine();
        share_classifier();
        share_pool();
    }
    std::printf("%zu threads, %zu instruction sets: as in one\n", kThreads, cpu::available_isas().size());
}

}  // namespace patchtst_har::tests
