// Rotary self-attention of the tokens of each window.
#pragma once

#include "model/kernel/product.hpp"

namespace patchtst_har::model {
namespace {

// Turns the pairs of all queries and keys by their token's angles.
PATCHTST_HAR_STAGE void rotate(const Attention& step, float* qkv) {
    const float* cos = step.cos;
    const float* sin = step.sin;
    for (std::size_t token = 0; token < step.n_tokens; ++token) {
        for (std::size_t j = 0; j < step.table_width; j += kLanes) {
            const Vector x = load(qkv + j);
            store(qkv + j, fused(x, load(cos + j), swapped(x) * load(sin + j)));
        }
        cos += step.table_width;
        sin += step.table_width;
        qkv += step.qkv.outer_stride;
    }
}

// Writes n_queries of one head as columns, in the layout of packed weights; zeros fill the last vector.
PATCHTST_HAR_STAGE void transpose_queries(const Attention& step, const float* queries, std::size_t n_queries,
                                          float* packed) {
    const std::size_t width = vectors_for(n_queries) * kLanes;
    for (std::size_t column = 0; column < width; column += kLanes) {
        for (std::size_t k = 0; k < step.head_dim; k += kLanes) {
            Vector block[kLanes];
#pragma GCC unroll 16
            for (std::size_t i = 0; i < kLanes; ++i) {
                const float* query = queries + (column + i) * step.qkv.outer_stride + k;
                block[i] = column + i < n_queries ? load(query) : Vector{};
            }
            transpose(block);
#pragma GCC unroll 16
            for (std::size_t i = 0; i < kLanes; ++i) {
                if (k + i < step.head_dim) store(packed + (k + i) * width + column, block[i]);
            }
        }
    }
}

// Softmax of each column of n_rows rows.
PATCHTST_HAR_INLINE void softmax_columns(float* scores, std::size_t n_rows, std::size_t width) {
    constexpr float kLowest = -3.4028235e38F;
    for (std::size_t column = 0; column < width; column += kLanes) {
        float* const end = scores + n_rows * width + column;
        Vector maxima = all(kLowest);
        for (float* row = scores + column; row != end; row += width) maxima = larger(load(row), maxima);
        Vector sums = {};
        for (float* row = scores + column; row != end; row += width) {
            const Vector e = exponential(load(row) - maxima);
            sums += e;
            store(row, e);
        }
        const Vector scales = 1.0F / sums;
        for (float* row = scores + column; row != end; row += width) store(row, load(row) * scales);
    }
}

// scores[j] = key j . every query, a row a key.
PATCHTST_HAR_INLINE void score(const Attention& step, const float* keys, const float* queries,
                               std::size_t n_vectors, float* scores) {
    const std::size_t width = n_vectors * kLanes;
    Tile tile{{}, {}, queries, width, nullptr, 1, step.head_dim, 0, false};
    for (std::size_t first = 0; first < step.n_tokens;) {
        const std::size_t n_rows = rows_of_next_tile(step.n_tokens - first);
        for (std::size_t i = 0; i < n_rows; ++i) {
            tile.a[i] = keys + (first + i) * step.qkv.outer_stride;
            tile.c[i] = scores + (first + i) * width;
        }
        multiply(tile, n_rows, n_vectors);
        first += n_rows;
    }
}

// targets[i] = sum of the values weighted by column i of the scores. Whole vectors are written: what lies
// behind the head is overwritten by the next one, or fills the row.
PATCHTST_HAR_INLINE void mix(const Attention& step, const float* values, const float* scores,
                             std::size_t n_queries, float* target) {
    const std::size_t width = vectors_for(n_queries) * kLanes;
    const std::size_t n_vectors = vectors_for(step.head_dim);
    for (std::size_t first = 0; first < n_queries;) {
        const std::size_t n_rows = rows_of_next_tile(n_queries - first);
        Tile tile{{}, {}, values, step.qkv.outer_stride, nullptr, step.n_tokens, 1, width, false};
        for (std::size_t i = 0; i < n_rows; ++i) {
            tile.a[i] = scores + first + i;
            tile.c[i] = target + (first + i) * step.target.outer_stride;
        }
        for (std::size_t j = 0; j < n_vectors; j += kPanelVectors) {
            multiply(tile, n_rows, n_vectors - j < kPanelVectors ? n_vectors - j : kPanelVectors);
            tile.b += kPanelVectors * kLanes;
            for (std::size_t i = 0; i < n_rows; ++i) tile.c[i] += kPanelVectors * kLanes;
        }
        first += n_rows;
    }
}

// One head of one window, a panel of queries at a time. They lie in the lanes: maxima and sums over the keys
// take no horizontal operations. scratch: transposed queries, then the scores.
PATCHTST_HAR_STAGE void attend(const Attention& step, const float* qkv, float* target, float* scratch) {
    const std::size_t width = step.n_heads * step.head_dim;
    for (std::size_t first = 0; first < step.n_tokens; first += kPanelVectors * kLanes) {
        const std::size_t left = step.n_tokens - first;
        const std::size_t n_queries = left < kPanelVectors * kLanes ? left : kPanelVectors * kLanes;
        const std::size_t n_vectors = vectors_for(n_queries);
        float* scores = scratch + step.head_dim * n_vectors * kLanes;
        transpose_queries(step, qkv + first * step.qkv.outer_stride, n_queries, scratch);
        score(step, qkv + width, scratch, n_vectors, scores);
        softmax_columns(scores, step.n_tokens, n_vectors * kLanes);
        mix(step, qkv + 2 * width, scores, n_queries, target + first * step.target.outer_stride);
    }
}

void attention(const Attention& step, const Block& block) {
    for (std::size_t window = 0; window < block.n_windows; ++window) {
        float* qkv = target_of(block, step.qkv, window);
        float* target = target_of(block, step.target, window);
        rotate(step, qkv);
        // Ascending, because each head's last vector may reach into the next one's columns.
        for (std::size_t head = 0; head < step.n_heads; ++head) {
            attend(step, qkv + head * step.head_dim, target + head * step.head_dim, block.scratch);
        }
    }
}

}  // namespace
}  // namespace patchtst_har::model
