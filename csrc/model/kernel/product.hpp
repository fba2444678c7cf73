// Matrix products: a tile of rows times a panel of columns is kept in registers.
#pragma once

#include "model/kernels.hpp"
#include "simd/functions.hpp"

namespace patchtst_har::model {
namespace {

using namespace simd;

constexpr std::size_t kLanes = kWidth<float>;

using Vector = Floats;

PATCHTST_HAR_INLINE Vector load(const float* from) {
    return simd::load<Vector>(from);
}

PATCHTST_HAR_INLINE Vector all(float value) {
    return filled<Vector>(value);
}

constexpr std::size_t vectors_for(std::size_t n_floats) {
    return (n_floats + kLanes - 1) / kLanes;
}

// Accumulators, a row of the panel and a broadcast value fill 32 registers, or 16 before AVX-512.
#if PATCHTST_HAR_VECTOR_BYTES == 64
constexpr std::size_t kTileRows = 6;
constexpr std::size_t kPanelVectors = 4;
#elif PATCHTST_HAR_VECTOR_BYTES == 32
constexpr std::size_t kTileRows = 6;
constexpr std::size_t kPanelVectors = 2;
#else
constexpr std::size_t kTileRows = 5;
constexpr std::size_t kPanelVectors = 2;
#endif

struct Tile {
    const float* a[kTileRows];  // rows of the left matrix
    float* c[kTileRows];
    const float* b;  // the right matrix, b_stride floats per row
    std::size_t b_stride;
    const float* bias;  // null: none
    std::size_t n_segments, segment_length, segment_stride;
    bool adds;
};

// One product of a value that every lane shares.
struct Values {
    static PATCHTST_HAR_INLINE Vector add(const float* value, const Vector& columns, const Vector& sums) {
        return fused(all(*value), columns, sums);
    }
};

// c = a b + bias (+ c)
template <typename Factors, std::size_t rows, std::size_t vectors>
PATCHTST_HAR_STAGE void multiply(const Tile& tile) {
    Vector sums[rows][vectors];
    const float* a[rows];
#pragma GCC unroll 8
    for (std::size_t i = 0; i < rows; ++i) a[i] = tile.a[i];
#pragma GCC unroll 8
    for (std::size_t j = 0; j < vectors; ++j) {
        const Vector start = tile.bias == nullptr ? Vector{} : load(tile.bias + j * kLanes);
#pragma GCC unroll 8
        for (std::size_t i = 0; i < rows; ++i) sums[i][j] = start;
    }
    const float* b = tile.b;
    for (std::size_t segment = 0; segment < tile.n_segments; ++segment) {
        for (std::size_t k = 0; k < tile.segment_length; ++k) {
            Vector columns[vectors];
#pragma GCC unroll 8
            for (std::size_t j = 0; j < vectors; ++j) columns[j] = load(b + j * kLanes);
            b += tile.b_stride;
#pragma GCC unroll 8
            for (std::size_t i = 0; i < rows; ++i) {
#pragma GCC unroll 8
                for (std::size_t j = 0; j < vectors; ++j) {
                    sums[i][j] = Factors::add(a[i] + k, columns[j], sums[i][j]);
                }
            }
        }
#pragma GCC unroll 8
        for (std::size_t i = 0; i < rows; ++i) a[i] += tile.segment_stride;
    }
#pragma GCC unroll 8
    for (std::size_t i = 0; i < rows; ++i) {
#pragma GCC unroll 8
        for (std::size_t j = 0; j < vectors; ++j) {
            float* c = tile.c[i] + j * kLanes;
            store(c, tile.adds ? sums[i][j] + load(c) : sums[i][j]);
        }
    }
}

using Multiply = void (*)(const Tile&);

// The products of 1 to kTileRows rows, for one vector, then for two and so on.
template <typename Factors, int... cell>
constexpr Multiply product_of(std::size_t index, Lanes<cell...> /*all*/) {
    constexpr Multiply kProducts[] = {&multiply<Factors, cell % kTileRows + 1, cell / kTileRows + 1>...};
    return kProducts[index];
}

template <typename Factors = Values>
PATCHTST_HAR_INLINE void multiply(const Tile& tile, std::size_t n_rows, std::size_t n_vectors) {
    using All = typename CountedLanes<kPanelVectors * kTileRows>::Type;
    product_of<Factors>((n_vectors - 1) * kTileRows + n_rows - 1, All{})(tile);
}

// What a linear step applies to a tile of its results.
PATCHTST_HAR_INLINE Vector gelu(const Vector& x) {
    const Vector half = 0.5F * x;
    return fused(half, error_function(x), half);
}

PATCHTST_HAR_INLINE Vector relu(const Vector& x) {
    return x < 0.0F ? Vector{} : x;
}

template <typename Gelu>
PATCHTST_HAR_STAGE void activate(const Tile& tile, std::size_t n_rows, std::size_t n_vectors,
                                 Activation activation, Gelu gelu) {
    for (std::size_t i = 0; i < n_rows; ++i) {
        float* row = tile.c[i];
        for (std::size_t j = 0; j < n_vectors; ++j, row += kLanes) {
            const Vector x = load(row);
            store(row, activation == Activation::kGelu ? gelu(x) : relu(x));
        }
    }
}

// So many rows that the tiles left are of equal size.
PATCHTST_HAR_INLINE std::size_t rows_of_next_tile(std::size_t n_left) {
    const std::size_t n_tiles = (n_left + kTileRows - 1) / kTileRows;
    return (n_left + n_tiles - 1) / n_tiles;
}

// Where the first row of a window begins.
PATCHTST_HAR_INLINE const float* source_of(const Block& block, const View& view, std::size_t window) {
    return block.sources[view.buffer] + window * view.window_stride + view.offset;
}

PATCHTST_HAR_INLINE float* target_of(const Block& block, const View& view, std::size_t window) {
    return block.targets[view.buffer] + window * view.window_stride + view.offset;
}

// Walks over the rows of a view, window by window.
class Rows {
  public:
    PATCHTST_HAR_INLINE Rows(const View& view, std::size_t n_outer, std::size_t n_inner)
        : view_(view),
          n_outer_(n_outer),
          n_inner_(n_inner),
          outer_start_(view.offset),
          offset_(view.offset) {}

    [[nodiscard]] PATCHTST_HAR_INLINE std::size_t next() {
        const std::size_t offset = offset_;
        offset_ += view_.inner_stride;
        if (++inner_ == n_inner_) {
            inner_ = 0;
            outer_start_ += view_.outer_stride;
            if (++outer_ == n_outer_) {
                outer_ = 0;
                window_start_ += view_.window_stride;
                outer_start_ = window_start_ + view_.offset;
            }
            offset_ = outer_start_;
        }
        return offset;
    }

  private:
    const View& view_;
    std::size_t n_outer_, n_inner_;
    std::size_t outer_start_, offset_;
    std::size_t inner_ = 0, outer_ = 0, window_start_ = 0;
};

}  // namespace
}  // namespace patchtst_har::model
