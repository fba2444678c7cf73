// The forward pass of one head: sixteen queries at a time in the lanes, so that maxima and sums over keys
// need no horizontal operations; keys in tiles with the online softmax of Milakov and Gimelshein 2018
// (arXiv:1805.02867). Scores are in units of log2, the constant goes with the scale.
#pragma once

#include "attention/kernel/random.hpp"
#include "attention/kernel/rows.hpp"

namespace patchtst_har::attention {
namespace {

// Keys whose scores against sixteen queries, and whose values, stay in the first level of cache.
constexpr std::size_t kTile = 128;

PATCHTST_HAR_INLINE std::size_t tile_at(const Head& head, std::size_t key) {
    return head.n_tokens - key < kTile ? head.n_tokens - key : kTile;
}

PATCHTST_HAR_INLINE float score_scale(const Head& head) {
    return kLog2E / __builtin_sqrtf(static_cast<float>(head.head_dim));
}

// Floats that one head's parts take: of every token; of sixteen queries; of a tile of keys and sixteen
// queries.
struct Sizes {
    std::size_t rows, block, tile;

    explicit PATCHTST_HAR_INLINE Sizes(const Shape& shape)
        : rows(shape.n_tokens * padded(shape.head_dim)),
          block(kLanes * padded(shape.head_dim)),
          tile(kLanes * (shape.n_tokens < kTile ? shape.n_tokens : kTile)) {}
};

// Hands out one part of the scratch memory after the other.
struct Scratch {
    float* next;

    PATCHTST_HAR_INLINE float* take(std::size_t size) {
        next += size;
        return next - size;
    }
};

struct ForwardMemory {
    Sizes size;
    Scratch scratch;
    float *keys = scratch.take(size.rows), *values = scratch.take(size.rows);
    float *queries = scratch.take(size.block), *columns = scratch.take(size.block);
    float* sums = scratch.take(size.block);
    float* weights = scratch.take(size.tile);
};

// What the online softmax keeps of sixteen queries.
struct Softmax {
    Sixteen largest, total;
};

// Replaces scores (n_keys, 16) by weights relative to the largest score so far; returns the factor that makes
// earlier weights relative to it too.
template <bool drops>
PATCHTST_HAR_INLINE Sixteen weigh(Softmax& state, std::size_t first_key, std::size_t n_keys, float* scores,
                                  DropoutFactors& dropout) {
    Sixteen largest = state.largest;
    for (std::size_t j = 0; j < n_keys; ++j) {
        largest = each(Larger{}, Sixteen::at(scores + j * kLanes), largest);
    }
    // While every score is -inf, so is the largest, and -inf - -inf is NaN.
    const Sixteen reference = each([](auto m) { return m == -__builtin_inff() ? Floats{} : m; }, largest);
    const Sixteen earlier = powers_of_two(state.largest - reference);
    Sixteen total = state.total * earlier;
    for (std::size_t j = 0; j < n_keys; ++j) {
        const Sixteen weight = powers_of_two(Sixteen::at(scores + j * kLanes) - reference);
        total = total + weight;
        (drops ? weight * dropout.at(first_key + j) : weight).to(scores + j * kLanes);
    }
    state.largest = largest;
    state.total = total;
    return earlier;
}

PATCHTST_HAR_INLINE void scale_rows(const Head& head, std::size_t n, const Sixteen& factors, float* rows) {
    float factor[kLanes];
    factors.to(factor);
    for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t c = 0; c < head.width; c += kLanes) {
            float* at = rows + i * head.width + c;
            (Sixteen::all(factor[i]) * Sixteen::at(at)).to(at);
        }
    }
}

PATCHTST_HAR_INLINE void write_outputs(const Head& head, const QueryBlock& block, const Softmax& state,
                                       const float* sums, const Outputs& outputs) {
    float inverse[kLanes];
    (Sixteen::all(1.0F) / state.total).to(inverse);
    float* out = outputs.out + head.in_out() + block.first * head.out_row;
    for (std::size_t i = 0; i < block.count; ++i) {
        for (std::size_t c = 0; c < head.width; c += kLanes) {
            const Sixteen mean = Sixteen::all(inverse[i]) * Sixteen::at(sums + i * head.width + c);
            mean.first_to(out + i * head.out_row + c, lanes_at(head, c));
        }
    }
    const Sixteen lse =
        Sixteen::all(kLn2) * (state.largest + each([](const auto& part) { return log2(part); }, state.total));
    lse.first_to(outputs.lse + head.in_lse() + block.first, block.count);
}

template <bool drops>
PATCHTST_HAR_INLINE void attend(const Inputs& inputs, const Head& head, const QueryBlock& block,
                                const ForwardMemory& memory, const Outputs& outputs) {
    Softmax state = {Sixteen::all(-__builtin_inff()), Sixteen::all(0.0F)};
    DropoutFactors dropout(inputs.dropout, head.index, block.first);
    for (std::size_t key = 0; key < head.n_tokens; key += kTile) {
        const std::size_t n = tile_at(head, key);
        const std::size_t offset = key * head.width;
        multiply_by_columns(memory.keys + offset, head.width, memory.columns, n, head.head_dim,
                            memory.weights);
        const Sixteen earlier = weigh<drops>(state, key, n, memory.weights, dropout);
        if (key > 0) scale_rows(head, block.count, earlier, memory.sums);
        sum_over_keys(memory.weights, memory.values + offset, head.width, n, block.count, key > 0,
                      memory.sums);
    }
    write_outputs(head, block, state, memory.sums, outputs);
}

void forward_head(const Inputs& inputs, const Tables& tables, const Outputs& outputs, std::size_t index,
                  float* scratch) {
    const Head head(inputs.shape, index);
    const ForwardMemory memory{Sizes(inputs.shape), {scratch}};
    rotate_rows(head, tables, 0, inputs.qkv + head.in_qkv(1), head.n_tokens, 1.0F, memory.keys);
    copy_rows(head, inputs.qkv + head.in_qkv(2), head.qkv_row(), head.n_tokens, memory.values);
    for (std::size_t first = 0; first < head.n_tokens; first += kLanes) {
        const QueryBlock block(head, first);
        rotate_queries(head, tables, block, inputs.qkv, score_scale(head), memory.queries);
        transpose(memory.queries, head.width, head.head_dim, memory.columns);
        if (inputs.dropout.threshold > 0) {
            attend<true>(inputs, head, block, memory, outputs);
        } else {
            attend<false>(inputs, head, block, memory, outputs);
        }
    }
}

std::size_t forward_scratch(const Shape& shape) {
    const Sizes size(shape);
    return 2 * size.rows + 3 * size.block + size.tile;
}

}  // namespace
}  // namespace patchtst_har::attention
