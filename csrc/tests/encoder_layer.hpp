// An encoder layer with random weights, for programs that run the engine without a model folder.
#pragma once

#include <cmath>

#include "model/engine.hpp"
#include "tests/inputs.hpp"
#include "tests/sweep.hpp"

namespace patchtst_har::tests {

struct LayerShape {
    std::size_t n_tokens, n_heads, head_dim, length;
};

// One encoder layer of a single branch: patches -> tokens -> norm -> attention -> product -> pooled ->
// outputs.
class EncoderLayer {
  public:
    static constexpr std::size_t kOutputs = 3;
    static constexpr std::size_t kSteps = 5;

    EncoderLayer(const LayerShape& shape, ExactRandom& random) : shape_(shape), random_(random) {}

    [[nodiscard]] const LayerShape& shape() const { return shape_; }

    void add_to(model::Engine& engine) const {
        const auto& [n_tokens, n_heads, head_dim, length] = shape_;
        const std::size_t row = padded(width_);
        const std::size_t last_head = width_ - head_dim + padded(head_dim);
        const std::size_t qkv_row = padded(2 * width_ + last_head);
        const auto rows = [&engine, n = n_tokens](std::size_t length_of_row) {
            return model::Place{engine.add_buffer(n * length_of_row), 0, length_of_row, 0};
        };
        const model::Place tokens = rows(row);
        const model::Place projected = rows(qkv_row);
        const model::Place mixed = rows(padded(last_head));
        const model::Place scaled{engine.add_buffer(length), 0, 0, 0};
        // Mean by attention, and maximum: side by side, the second at any column.
        const model::Place pooled{engine.add_buffer(width_ + padded(width_)), 0, 0, 0};
        const model::Place maximum{pooled.buffer, width_, 0, 0};
        const model::Place ranks{engine.add_buffer(length), 0, 0, 0};
        const model::Place outputs{engine.add_buffer(kOutputs), 0, 0, 0};
        const Floats none(kOutputs, 0.0F);
        engine.add_linear({0, 0, length, 0}, tokens, {n_tokens, 1}, {1, length, 0}, width_, embed_.data(),
                          embed_bias_.data(), model::Activation::kGelu, false);
        engine.add_standardise({1, 0, 0, 0}, scaled, length, mean_.data(), inverse_std_.data(), 1.0F);
        engine.add_quantiles(scaled, ranks, length, kSteps, lower_.data(), inverse_width_.data(), 1.0F);
        engine.add_linear(ranks, tokens, {1, 1}, {1, length, 0}, width_, embed_.data(), embed_bias_.data(),
                          model::Activation::kRelu, true);
        engine.add_normalise(tokens, tokens, n_tokens, width_, gain_.data(), bias_.data(), 1e-5F);
        engine.add_linear(tokens, projected, {n_tokens, 1}, {1, width_, 0}, 3 * width_, qkv_.data(),
                          qkv_bias_.data(), model::Activation::kNone, false);
        engine.add_attention(projected, mixed, n_tokens, n_heads, head_dim, cos_.data(), sin_.data());
        engine.add_linear(mixed, tokens, {n_tokens, 1}, {1, width_, 0}, width_, qkv_.data(), bias_.data(),
                          model::Activation::kNone, true);
        engine.add_pool(tokens, pooled, n_tokens, width_, model::Pooling::kAttention, query_.data());
        engine.add_pool(tokens, maximum, n_tokens, width_, model::Pooling::kMaximum, query_.data());
        engine.add_linear(pooled, outputs, {1, 1}, {1, 2 * width_, 0}, kOutputs, head_.data(), none.data(),
                          model::Activation::kNone, false);
        engine.set_outputs(outputs, kOutputs);
        engine.set_embedding(pooled, 2 * width_);
    }

  private:
    static std::size_t padded(std::size_t n) {
        return (n + model::kAlignment - 1) / model::kAlignment * model::kAlignment;
    }

    [[nodiscard]] Floats draw(std::size_t n, float spread = 0.5F) const { return random_.floats(n, spread); }

    LayerShape shape_;
    ExactRandom& random_;
    std::size_t width_ = shape_.n_heads * shape_.head_dim;
    std::size_t table_size_ = shape_.n_tokens * shape_.head_dim / 2;
    Floats embed_ = draw(width_ * shape_.length), embed_bias_ = draw(width_);
    Floats gain_ = draw(width_), bias_ = draw(width_);
    // Moderate scores and outputs: differences in rounding must not be magnified.
    float moderate_ = 0.5F / std::sqrt(static_cast<float>(width_));
    Floats qkv_ = draw(3 * width_ * width_, moderate_), qkv_bias_ = draw(3 * width_);
    Floats cos_ = draw(table_size_), sin_ = draw(table_size_);
    Floats query_ = draw(width_), head_ = draw(2 * kOutputs * width_, moderate_);
    Floats lower_ = draw(kSteps * shape_.length), inverse_width_ = draw(kSteps * shape_.length);
    Floats mean_ = draw(shape_.length), inverse_std_ = draw(shape_.length);
};

}  // namespace patchtst_har::tests
