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

// Writes the keys of one head as columns, in the layout of packed weights: panels, in each a row a value.
PATCHTST_HAR_STAGE void transpose_keys(const Attention& step, const float* keys, float* packed) {
    const std::size_t n_columns = vectors_for(step.n_tokens) * kLanes;
    for (std::size_t first = 0; first < n_columns; first += kPanelVectors * kLanes) {
        const std::size_t left = n_columns - first;
        const std::size_t width = left < kPanelVectors * kLanes ? left : kPanelVectors * kLanes;
        for (std::size_t column = 0; column < width; ++column) {
            const bool real = first + column < step.n_tokens;
            const float* key = keys + (first + column) * step.qkv.outer_stride;
            float* target = packed + first * step.head_dim + column;
            for (std::size_t k = 0; k < step.head_dim; ++k, target += width) *target = real ? key[k] : 0.0F;
        }
    }
}

// Softmax of the first n values of a row; the rest of its last vector is unspecified.
PATCHTST_HAR_INLINE void softmax(float* row, std::size_t n) {
    constexpr float kLowest = -3.4028235e38F;
    const std::size_t n_whole = n / kLanes * kLanes;
    const std::size_t n_last = n - n_whole;
    Vector maxima = all(kLowest);
    for (std::size_t j = 0; j < n_whole; j += kLanes) {
        const Vector x = load(row + j);
        maxima = x > maxima ? x : maxima;
    }
    if (n_last > 0) {
        const Vector x = first_lanes(load(row + n_whole), n_last, kLowest);
        maxima = x > maxima ? x : maxima;
    }
    const float maximum = largest(maxima);
    Vector sums = {};
    for (std::size_t j = 0; j < n_whole; j += kLanes) {
        const Vector e = exponential(load(row + j) - maximum);
        sums += e;
        store(row + j, e);
    }
    if (n_last > 0) {
        const Vector e = first_lanes(exponential(load(row + n_whole) - maximum), n_last, 0.0F);
        sums += e;
        store(row + n_whole, e);
    }
    const float scale = 1.0F / sum(sums);
    for (std::size_t j = 0; j < n; j += kLanes) store(row + j, load(row + j) * scale);
}

// targets[i] = queries[i] . every key, for the tile's rows.
PATCHTST_HAR_INLINE void score(const Attention& step, Tile tile, std::size_t n_rows) {
    const std::size_t n_vectors = vectors_for(step.n_tokens);
    const float* packed = tile.b;
    float* rows[kTileRows];
    for (std::size_t i = 0; i < n_rows; ++i) rows[i] = tile.c[i];
    for (std::size_t first = 0; first < n_vectors; first += kPanelVectors) {
        const std::size_t left = n_vectors - first;
        const std::size_t width = left < kPanelVectors ? left : kPanelVectors;
        tile.b = packed + first * kLanes * step.head_dim;
        tile.b_stride = width * kLanes;
        for (std::size_t i = 0; i < n_rows; ++i) tile.c[i] = rows[i] + first * kLanes;
        multiply(tile, n_rows, width);
    }
}

// targets[i] = sum of the values weighted by the scores. Whole vectors are written: what lies behind the head
// is overwritten by the next one, or fills the row.
PATCHTST_HAR_INLINE void mix(const Attention& step, Tile tile, std::size_t n_rows) {
    const std::size_t n_vectors = vectors_for(step.head_dim);
    for (std::size_t first = 0; first < n_vectors; first += kPanelVectors) {
        const std::size_t left = n_vectors - first;
        multiply(tile, n_rows, left < kPanelVectors ? left : kPanelVectors);
        tile.b += kPanelVectors * kLanes;
        for (std::size_t i = 0; i < n_rows; ++i) tile.c[i] += kPanelVectors * kLanes;
    }
}

// One head of one window; scratch: transposed keys, then the scores of a tile of queries.
PATCHTST_HAR_STAGE void attend(const Attention& step, const float* qkv, float* target, float* scratch) {
    const std::size_t stride = step.qkv.outer_stride;
    const std::size_t width = step.n_heads * step.head_dim;
    const std::size_t score_width = vectors_for(step.n_tokens) * kLanes;
    float* scores = scratch + score_width * step.head_dim;
    transpose_keys(step, qkv + width, scratch);
    for (std::size_t first = 0; first < step.n_tokens;) {
        const std::size_t n_rows = rows_of_next_tile(step.n_tokens - first);
        Tile scoring{{}, {}, scratch, 0, nullptr, 1, step.head_dim, 0, false};
        Tile mixing{{}, {}, qkv + 2 * width, stride, nullptr, 1, step.n_tokens, 0, false};
        for (std::size_t i = 0; i < n_rows; ++i) {
            scoring.a[i] = qkv + (first + i) * stride;
            scoring.c[i] = scores + i * score_width;
            mixing.a[i] = scores + i * score_width;
            mixing.c[i] = target + (first + i) * step.target.outer_stride;
        }
        score(step, scoring, n_rows);
        for (std::size_t i = 0; i < n_rows; ++i) softmax(scores + i * score_width, step.n_tokens);
        mix(step, mixing, n_rows);
        first += n_rows;
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
