// Where the rows of a head lie, and their way into padded memory and back, rotated or not.
#pragma once

#include "attention/kernel/matrix.hpp"

namespace patchtst_har::attention {
namespace {

// One head of one batch row.
struct Head {
    std::size_t index, n_tokens, head_dim;
    std::size_t width;    // head_dim, padded
    std::size_t out_row;  // floats from a token's row to the next one's, in the output
    std::size_t batch, head;

    PATCHTST_HAR_INLINE Head(const Shape& shape, std::size_t index_)
        : index(index_),
          n_tokens(shape.n_tokens),
          head_dim(shape.head_dim),
          width(padded(shape.head_dim)),
          out_row(shape.n_heads * shape.head_dim),
          batch(index_ / shape.n_heads),
          head(index_ % shape.n_heads) {}

    // Offsets of the first token's row; queries are part 0, keys 1, values 2.
    [[nodiscard]] PATCHTST_HAR_INLINE std::size_t in_qkv(std::size_t part) const {
        return (batch * n_tokens * 3 + part) * out_row + head * head_dim;
    }
    [[nodiscard]] PATCHTST_HAR_INLINE std::size_t qkv_row() const { return 3 * out_row; }
    [[nodiscard]] PATCHTST_HAR_INLINE std::size_t in_out() const {
        return batch * n_tokens * out_row + head * head_dim;
    }
    [[nodiscard]] PATCHTST_HAR_INLINE std::size_t in_lse() const { return index * n_tokens; }
};

// The lanes of a row at `column` that hold something.
PATCHTST_HAR_INLINE std::size_t lanes_at(const Head& head, std::size_t column) {
    return head.head_dim - column;
}

// to[t] = from[first + t] for `n` tokens, padded with zeros.
PATCHTST_HAR_STAGE void copy_rows(const Head& head, const float* from, std::size_t row, std::size_t n,
                                  float* to) {
    for (std::size_t t = 0; t < n; ++t) {
        for (std::size_t c = 0; c < head.width; c += kLanes) {
            Sixteen::first(from + t * row + c, lanes_at(head, c)).to(to + t * head.width + c);
        }
    }
}

// The same, rotated by the tables of the tokens from `first` on and multiplied by `scale`.
PATCHTST_HAR_STAGE void rotate_rows(const Head& head, const Tables& tables, std::size_t first,
                                    const float* from, std::size_t n, float scale, float* to) {
    const Sixteen factor = Sixteen::all(scale);
    const std::size_t row = head.qkv_row();
    for (std::size_t t = 0; t < n; ++t) {
        const std::size_t table = (first + t) * head.width;
        for (std::size_t c = 0; c < head.width; c += kLanes) {
            const Sixteen x = Sixteen::first(from + (first + t) * row + c, lanes_at(head, c));
            const Sixteen sin = Sixteen::at(tables.sin + table + c);
            const Sixteen rotated = fused(swapped(x), sin, x * Sixteen::at(tables.cos + table + c));
            (factor * rotated).to(to + t * head.width + c);
        }
    }
}

// Writes padded rows, rotated back and multiplied by `scale`, to the tokens from `first` on.
PATCHTST_HAR_STAGE void rotate_rows_back(const Head& head, const Tables& tables, std::size_t first,
                                         const float* from, std::size_t n, float scale, float* to) {
    const Sixteen factor = Sixteen::all(scale);
    const std::size_t row = head.qkv_row();
    for (std::size_t t = 0; t < n; ++t) {
        const std::size_t table = (first + t) * head.width;
        for (std::size_t c = 0; c < head.width; c += kLanes) {
            const Sixteen x = factor * Sixteen::at(from + t * head.width + c);
            const Sixteen sin = Sixteen::at(tables.sin + table + c);
            const Sixteen rotated = x * Sixteen::at(tables.cos + table + c) - swapped(x) * sin;
            rotated.first_to(to + (first + t) * row + c, lanes_at(head, c));
        }
    }
}

PATCHTST_HAR_INLINE void clear(float* from, const float* to) {
    for (; from < to; from += kLanes) Sixteen::all(0.0F).to(from);
}

// Sixteen queries from `first` on, those after the last token as zeros.
struct QueryBlock {
    std::size_t first, count;

    PATCHTST_HAR_INLINE QueryBlock(const Head& head, std::size_t first_)
        : first(first_), count(head.n_tokens - first_ < kLanes ? head.n_tokens - first_ : kLanes) {}
};

PATCHTST_HAR_INLINE void rotate_queries(const Head& head, const Tables& tables, const QueryBlock& block,
                                        const float* qkv, float scale, float* to) {
    rotate_rows(head, tables, block.first, qkv + head.in_qkv(0), block.count, scale, to);
    clear(to + block.count * head.width, to + kLanes * head.width);
}

}  // namespace
}  // namespace patchtst_har::attention
