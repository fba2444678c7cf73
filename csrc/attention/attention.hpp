// Self-attention with rotary position embeddings, fused: rotation of queries and keys, softmax(q k^T / sqrt
// d) with optional dropout, times v; and its gradient. float32, row major, no mask.
#pragma once

#include <cstddef>
#include <cstdint>

namespace patchtst_har::attention {

struct Shape {
    std::size_t n_batch, n_tokens, n_heads, head_dim;  // head_dim is even
};

// Which attention weights are zeroed: those whose 16 random bits are below the threshold. The bits are a
// function of seed, head and position alone (kernel/random.hpp), so that the gradient finds them again.
struct Dropout {
    std::uint64_t seed;
    std::uint32_t threshold;  // of 65536; 0 for no dropout
};

struct Inputs {
    Shape shape;
    Dropout dropout;
    const float* qkv;  // (n_batch, n_tokens, 3, n_heads, head_dim)
    const float* cos;  // (n_tokens, head_dim / 2), for adjacent pairs
    const float* sin;
};

struct Outputs {
    float* out;  // (n_batch, n_tokens, n_heads, head_dim)
    float* lse;  // (n_batch, n_heads, n_tokens): log of the sum of the exponentials of a query's scores
};

struct Gradients {
    const float* grad_out;  // as out
    const float* out;       // what forward() wrote
    const float* lse;
    float* grad_qkv;  // as qkv
};

// Both split batch x heads over at most `n_threads`; the result does not depend on their number.
void forward(const Inputs& inputs, const Outputs& outputs, std::size_t n_threads);
void backward(const Inputs& inputs, const Gradients& gradients, std::size_t n_threads);

// Dropout of any values: result[i] = values[i] * 1 / (1 - threshold / 65536) or 0. Its gradient is itself.
void drop_values(const float* values, std::size_t n, const Dropout& dropout, float* result,
                 std::size_t n_threads);

}  // namespace patchtst_har::attention
