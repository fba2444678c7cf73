// The kernels of one instruction set, and the steps of a forward pass as plain data: what the engine prepares
// for them. They use fused multiply-add where there is one, so the sets agree to rounding, not to the bit.
#pragma once

#include <cstddef>
#include <cstdint>

namespace patchtst_har::model {

inline constexpr std::size_t kInputs = 4;  // patches, times, statistical and topological features
inline constexpr std::size_t kMostBuffers = 32;
// Rows of the engine's own buffers are whole multiples of this many floats, whatever the instruction set.
inline constexpr std::size_t kAlignment = 16;

// Of bfloat16, which lie in the bits of a float each; the last one may be half empty.
constexpr std::size_t pairs_for(std::size_t n_values) {
    return (n_values + 1) / 2;
}

// The windows that go through the steps together. The first buffers are the inputs; they are read only.
struct Block {
    std::size_t n_windows;
    const float* sources[kMostBuffers];
    float* targets[kMostBuffers];
    float* scratch;
};

// Rows in a buffer: row (outer, inner) of window w begins at w * window_stride + offset +
// outer * outer_stride + inner * inner_stride.
struct View {
    std::size_t buffer, window_stride, offset, outer_stride, inner_stride;
};

enum class Activation : std::uint8_t { kNone, kRelu, kGelu };

// target = activation(source weights + bias) (+ target). A row of the source is n_segments runs of
// segment_length values; so patches of several axes and convolutions are read where they lie.
struct Linear {
    View source, target;
    std::size_t n_outer, n_inner;  // rows per window
    std::size_t n_segments, segment_length, segment_stride;
    std::size_t n_vectors;  // of the target's rows, the last one filled up with zero weights
    const float*
        weights;  // panels of at most kPanelVectors vectors; within one, a row for each source value or pair
    const float* bias;
    Activation activation;
    bool adds;
};

// target = (source - mean) * inverse_std, limited to +-limit.
struct Standardise {
    View source, target;
    std::size_t width;
    const float *mean, *inverse_std;
    float limit;
};

// target = for each value, how many steps of its map from -limit to limit it has passed, each by its share:
// the values of a step's row, for which lower and inverse_width stand in rows of a multiple of kAlignment.
struct Quantiles {
    View source, target;
    std::size_t width, n_steps;
    const float *lower, *inverse_width;
    float limit;
};

// target = values, the same for every window.
struct Constant {
    View target;
    std::size_t width;
    const float* values;
};

// Layer norm of every row; `width` values, then zeros to whole vectors.
struct Normalise {
    View source, target;
    std::size_t n_rows, width;
    const float *gain, *bias;
    float epsilon;
};

// Rotates queries and keys in place and attends; the queries' weights contain the factor 1 / sqrt(head_dim).
struct Attention {
    View qkv, target;
    std::size_t n_tokens, n_heads, head_dim;
    const float *cos, *sin;  // (n_tokens, table_width), one value a column of queries and keys; sin is signed
    std::size_t table_width;
};

enum class Pooling : std::uint8_t { kMean, kMaximum, kAttention };

// target = mean or maximum of the rows, or their mean weighted by the softmax of their products with `query`.
struct Pool {
    View source, target;
    std::size_t n_rows, width;
    Pooling kind;
    const float* query;
};

// Of the factors of linear steps; everything else is float32.
enum class Precision : std::uint8_t { kFloat32, kBfloat16 };

struct Kernels {
    bool pairs;                 // weights are pairs of bfloat16 in the bits of a float
    std::size_t lanes;          // floats per vector
    std::size_t panel_vectors;  // vectors a panel of packed weights
    std::size_t tile_rows;      // rows that share one reading of a panel
    void (*linear)(const Linear& step, const Block& block);
    void (*standardise)(const Standardise& step, const Block& block);
    void (*quantiles)(const Quantiles& step, const Block& block);
    void (*constant)(const Constant& step, const Block& block);
    void (*normalise)(const Normalise& step, const Block& block);
    void (*attention)(const Attention& step, const Block& block);
    void (*pool)(const Pool& step, const Block& block);
    // values[i] = exp(values[i]) and erf(values[i] / sqrt(2)); n is a multiple of kAlignment.
    void (*exponential)(float* values, std::size_t n);
    void (*error_function)(float* values, std::size_t n);
};

// One a unit; see cpu/isa.hpp.
extern const Kernels kBaselineKernels, kAvx2Kernels, kAvx512Kernels, kAvx512Bf16Kernels;

// Those of the active instruction set.
const Kernels& active_kernels();

// Those of the active instruction set for a precision; std::invalid_argument, saying what is missing, where
// there are none.
const Kernels& kernels_for(Precision precision);

}  // namespace patchtst_har::model
