// The gradient of one head: attention weights are computed again from the scores and their logarithmic sums
// (Dao et al. 2022, arXiv:2205.14135, algorithm 4), sixteen queries at a time in the lanes.
#pragma once

#include "attention/kernel/forward.hpp"

namespace patchtst_har::attention {
namespace {

struct BackwardMemory {
    Sizes size;
    Scratch scratch;
    // Of every token: keys, values, and the gradients of both.
    float *keys = scratch.take(size.rows), *values = scratch.take(size.rows);
    float *grad_keys = scratch.take(size.rows), *grad_values = scratch.take(size.rows);
    // Of sixteen queries: rows and columns of the query and of the output's gradient; the query's gradient.
    float *queries = scratch.take(size.block), *query_columns = scratch.take(size.block);
    float *grads = scratch.take(size.block), *grad_columns = scratch.take(size.block);
    float* grad_queries = scratch.take(size.block);
    // Of a tile of keys and sixteen queries.
    float *weights = scratch.take(size.tile), *grad_scores = scratch.take(size.tile);
};

// The sum over the columns of a * b, for sixteen rows, in the lanes.
PATCHTST_HAR_STAGE Sixteen row_products(const Head& head, const QueryBlock& block, const float* padded_rows,
                                        const float* out) {
    float rows[kLanes * kLanes];
    float columns[kLanes * kLanes];
    for (std::size_t i = 0; i < kLanes; ++i) {
        Sixteen sum = Sixteen::all(0.0F);
        for (std::size_t c = 0; i < block.count && c < head.width; c += kLanes) {
            const Sixteen mean = Sixteen::first(out + i * head.out_row + c, lanes_at(head, c));
            sum = fused(Sixteen::at(padded_rows + i * head.width + c), mean, sum);
        }
        sum.to(rows + i * kLanes);
    }
    transpose(rows, kLanes, kLanes, columns);
    Sixteen total = Sixteen::all(0.0F);
    for (std::size_t c = 0; c < kLanes; ++c) total = total + Sixteen::at(columns + c * kLanes);
    return total;
}

// scores -> weights with dropout; gradients of the weights -> gradients of the scores.
template <bool drops>
PATCHTST_HAR_INLINE void weigh_back(const Sixteen& lse, const Sixteen& product, std::size_t first_key,
                                    std::size_t n_keys, float* weights, float* grads,
                                    DropoutFactors& dropout) {
    for (std::size_t j = 0; j < n_keys; ++j) {
        const Sixteen weight = powers_of_two(Sixteen::at(weights + j * kLanes) - lse);
        Sixteen grad = Sixteen::at(grads + j * kLanes);
        Sixteen kept = weight;
        if constexpr (drops) {
            const Sixteen factor = dropout.at(first_key + j);
            kept = weight * factor;
            grad = grad * factor;
        }
        kept.to(weights + j * kLanes);
        (weight * (grad - product)).to(grads + j * kLanes);
    }
}

template <bool drops>
PATCHTST_HAR_INLINE void attend_back(const Inputs& inputs, const Head& head, const QueryBlock& block,
                                     const BackwardMemory& memory, const Sixteen& lse,
                                     const Sixteen& product) {
    DropoutFactors dropout(inputs.dropout, head.index, block.first);
    const std::size_t width = head.width;
    for (std::size_t key = 0; key < head.n_tokens; key += kTile) {
        const std::size_t n = tile_at(head, key);
        const std::size_t offset = key * width;
        multiply_by_columns(memory.keys + offset, width, memory.query_columns, n, head.head_dim,
                            memory.weights);
        multiply_by_columns(memory.values + offset, width, memory.grad_columns, n, head.head_dim,
                            memory.grad_scores);
        weigh_back<drops>(lse, product, key, n, memory.weights, memory.grad_scores, dropout);
        const bool adds = block.first > 0;
        sum_over_queries(memory.weights, memory.grads, width, n, block.count, adds,
                         memory.grad_values + offset);
        sum_over_queries(memory.grad_scores, memory.queries, width, n, block.count, adds,
                         memory.grad_keys + offset);
        sum_over_keys(memory.grad_scores, memory.keys + offset, width, n, block.count, key > 0,
                      memory.grad_queries);
    }
}

// The gradients of sixteen queries, and their share of those of keys and values.
PATCHTST_HAR_INLINE void backward_queries(const Inputs& inputs, const Tables& tables,
                                          const Gradients& gradients, const Head& head,
                                          const QueryBlock& block, const BackwardMemory& memory) {
    const std::size_t width = head.width;
    rotate_queries(head, tables, block, inputs.qkv, score_scale(head), memory.queries);
    transpose(memory.queries, width, head.head_dim, memory.query_columns);
    const std::size_t first_row = head.in_out() + block.first * head.out_row;
    copy_rows(head, gradients.grad_out + first_row, head.out_row, block.count, memory.grads);
    clear(memory.grads + block.count * width, memory.grads + kLanes * width);
    transpose(memory.grads, width, head.head_dim, memory.grad_columns);
    const Sixteen product = row_products(head, block, memory.grads, gradients.out + first_row);
    const float* lse = gradients.lse + head.in_lse() + block.first;
    const Sixteen scaled_lse = Sixteen::all(kLog2E) * Sixteen::first(lse, block.count);
    if (inputs.dropout.threshold > 0) {
        attend_back<true>(inputs, head, block, memory, scaled_lse, product);
    } else {
        attend_back<false>(inputs, head, block, memory, scaled_lse, product);
    }
    rotate_rows_back(head, tables, block.first, memory.grad_queries, block.count, kLn2 * score_scale(head),
                     gradients.grad_qkv + head.in_qkv(0));
}

void backward_head(const Inputs& inputs, const Tables& tables, const Gradients& gradients, std::size_t index,
                   float* scratch) {
    const Head head(inputs.shape, index);
    const BackwardMemory memory{Sizes(inputs.shape), {scratch}};
    rotate_rows(head, tables, 0, inputs.qkv + head.in_qkv(1), head.n_tokens, 1.0F, memory.keys);
    copy_rows(head, inputs.qkv + head.in_qkv(2), head.qkv_row(), head.n_tokens, memory.values);
    for (std::size_t first = 0; first < head.n_tokens; first += kLanes) {
        backward_queries(inputs, tables, gradients, head, QueryBlock(head, first), memory);
    }
    // The queries hold log2(e) and the scale; ln 2 takes it out again.
    rotate_rows_back(head, tables, 0, memory.grad_keys, head.n_tokens, kLn2,
                     gradients.grad_qkv + head.in_qkv(1));
    float* grad_values = gradients.grad_qkv + head.in_qkv(2);
    for (std::size_t t = 0; t < head.n_tokens; ++t) {
        for (std::size_t c = 0; c < head.width; c += kLanes) {
            const Sixteen grad = Sixteen::at(memory.grad_values + t * head.width + c);
            grad.first_to(grad_values + t * head.qkv_row() + c, lanes_at(head, c));
        }
    }
}

std::size_t backward_scratch(const Shape& shape) {
    const Sizes size(shape);
    return 4 * size.rows + 5 * size.block + 2 * size.tile;
}

}  // namespace
}  // namespace patchtst_har::attention
