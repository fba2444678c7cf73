// Sixteen float32 lanes, and products of small matrices: rows of sixteen lanes of the result stay in
// registers over the whole sum.
#pragma once

#include "attention/kernels.hpp"
#include "simd/functions.hpp"

namespace patchtst_har::attention {
namespace {

using namespace simd;

using Sixteen = Block<float, kLanes>;

PATCHTST_HAR_INLINE Sixteen powers_of_two(const Sixteen& exponents) {
    return each([](const auto& part) { return power_of_two(part); }, exponents);
}

// As many rows as there are registers for, besides a row of b and a broadcast.
constexpr std::size_t kRows = kRegisterBytes == 64 ? 12 : kRegisterBytes == 32 ? 6 : 2;

// The left operand: element (i, k) lies at first[i * row + k * step].
struct Left {
    const float* first;
    std::size_t row, step;
};

// The right operand: sixteen lanes of row k lie at first + k * row.
struct Right {
    const float* first;
    std::size_t row;
};

// c[i][0..16) = (adds ? c[i] : 0) + sum over k of a(i, k) * b[k] for `rows` rows.
template <std::size_t rows, bool adds>
PATCHTST_HAR_INLINE void multiply_rows(const Left& a, const Right& b, std::size_t n_steps, float* c,
                                       std::size_t c_row) {
    Sixteen sum[rows];
#pragma GCC unroll 16
    for (std::size_t i = 0; i < rows; ++i) sum[i] = adds ? Sixteen::at(c + i * c_row) : Sixteen::all(0.0F);
    // A pointer for every four rows: addresses of base + k * stride are free up to there.
    constexpr std::size_t kGroups = (rows + 3) / 4;
    const float* group[kGroups];
#pragma GCC unroll 4
    for (std::size_t g = 0; g < kGroups; ++g) group[g] = a.first + 4 * g * a.row;
    const std::size_t offset[4] = {0, a.row, 2 * a.row, 3 * a.row};
    const float* factors = b.first;
    for (std::size_t k = 0; k < n_steps; ++k) {
        const Sixteen factor = Sixteen::at(factors);
        factors += b.row;
#pragma GCC unroll 16
        for (std::size_t i = 0; i < rows; ++i) {
            sum[i] = fused(Sixteen::all(group[i / 4][offset[i % 4]]), factor, sum[i]);
        }
#pragma GCC unroll 4
        for (std::size_t g = 0; g < kGroups; ++g) group[g] += a.step;
    }
#pragma GCC unroll 16
    for (std::size_t i = 0; i < rows; ++i) sum[i].to(c + i * c_row);
}

// Rows in blocks of `rows`, then of fewer and fewer.
template <std::size_t rows, bool adds>
PATCHTST_HAR_INLINE void multiply_blocks(Left a, const Right& b, std::size_t n_rows, std::size_t n_steps,
                                         float* c, std::size_t c_row) {
    std::size_t left = n_rows;
    for (; left >= rows; left -= rows) {
        multiply_rows<rows, adds>(a, b, n_steps, c, c_row);
        a.first += rows * a.row;
        c += rows * c_row;
    }
    if constexpr (rows > 1) {
        constexpr std::size_t kFewer = rows > 8 ? 8 : rows > 4 ? 4 : rows > 2 ? 2 : 1;
        if (left > 0) multiply_blocks<kFewer, adds>(a, b, left, n_steps, c, c_row);
    }
}

// c (n_rows, n_columns) = (adds ? c : 0) + a (n_rows, n_steps) b (n_steps, n_columns). n_columns is a
// multiple of sixteen.
PATCHTST_HAR_INLINE void multiply(const Left& a, const Right& b, std::size_t n_rows, std::size_t n_steps,
                                  std::size_t n_columns, bool adds, float* c, std::size_t c_row) {
    for (std::size_t column = 0; column < n_columns; column += kLanes) {
        const Right part{b.first + column, b.row};
        if (adds) {
            multiply_blocks<kRows, true>(a, part, n_rows, n_steps, c + column, c_row);
        } else {
            multiply_blocks<kRows, false>(a, part, n_rows, n_steps, c + column, c_row);
        }
    }
}

// Scores of keys against sixteen queries: rows (n_keys, row) times columns (n_steps, 16).
PATCHTST_HAR_STAGE void multiply_by_columns(const float* rows, std::size_t row, const float* columns,
                                            std::size_t n_keys, std::size_t n_steps, float* c) {
    multiply({rows, row, 1}, {columns, kLanes}, n_keys, n_steps, kLanes, false, c, kLanes);
}

// Sums over queries: weights (n_keys, 16) times rows (n_queries, width), for every key.
PATCHTST_HAR_STAGE void sum_over_queries(const float* weights, const float* rows, std::size_t width,
                                         std::size_t n_keys, std::size_t n_queries, bool adds, float* c) {
    multiply({weights, kLanes, 1}, {rows, width}, n_keys, n_queries, width, adds, c, width);
}

// Sums over keys: weights (n_keys, 16), transposed, times rows (n_keys, width), for every query.
PATCHTST_HAR_STAGE void sum_over_keys(const float* weights, const float* rows, std::size_t width,
                                      std::size_t n_keys, std::size_t n_queries, bool adds, float* c) {
    multiply({weights, 1, kLanes}, {rows, width}, n_queries, n_keys, width, adds, c, width);
}

// columns[c][i] = rows[i][c] for sixteen rows, by blocks of four; `n_columns` is rounded up to such a block.
PATCHTST_HAR_STAGE void transpose(const float* rows, std::size_t row, std::size_t n_columns, float* columns) {
    using Four = Vector<float, 4>;
    for (std::size_t c = 0; c < n_columns; c += 4) {
        for (std::size_t i = 0; i < kLanes; i += 4) {
            Four block[4];
            for (std::size_t r = 0; r < 4; ++r) block[r] = load<Four>(rows + (i + r) * row + c);
            simd::transpose(block);
            for (std::size_t r = 0; r < 4; ++r) store(columns + (c + r) * kLanes + i, block[r]);
        }
    }
}

}  // namespace
}  // namespace patchtst_har::attention
