// A forward pass as a sequence of steps on packed weights.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <mutex>
#include <variant>
#include <vector>

#include "model/kernels.hpp"
#include "support/aligned.hpp"

namespace patchtst_har::model {

using support::AlignedFloats;

// Sizes, strides and counts up to here cannot overflow when they are multiplied and added.
inline constexpr std::size_t kMostFloats = std::size_t{1} << 31U;

// Rows in a buffer, as seen from outside: see View.
struct Place {
    std::size_t buffer, offset, outer_stride, inner_stride;
};

struct RowCount {
    std::size_t n_outer, n_inner;
};

struct Segments {
    std::size_t count, length, stride;
};

// The steps are added in the order of execution; every one is checked to stay inside its buffers
// (std::invalid_argument). Weights are copied and packed for the instruction set that is active on
// construction, which is the one that run() uses. run() may be called from several threads at once.
class Engine {
  public:
    // Floats a window of each input; windows that go through the steps together.
    // std::invalid_argument where the precision is not available (kernels_for).
    Engine(const std::array<std::size_t, kInputs>& input_sizes, std::size_t n_block_windows,
           Precision precision = Precision::kFloat32);
    ~Engine();  // where Workspace is known

    // Returns the number of a new buffer of `n_floats` a window; 0 to 3 are the inputs.
    std::size_t add_buffer(std::size_t n_floats);

    // weights: n_columns rows of count * length values. Target rows are filled up to whole alignments with
    // zeros (activated).
    void add_linear(Place source, Place target, RowCount rows, Segments segments, std::size_t n_columns,
                    const float* weights, const float* bias, Activation activation, bool adds);
    void add_standardise(Place source, Place target, std::size_t width, const float* mean,
                         const float* inverse_std, float limit);
    // lower, inverse_width: n_steps rows of width values.
    void add_quantiles(Place source, Place target, std::size_t width, std::size_t n_steps, const float* lower,
                       const float* inverse_width, float limit);
    void add_constant(Place target, std::size_t width, const float* values);
    void add_normalise(Place source, Place target, std::size_t n_rows, std::size_t width, const float* gain,
                       const float* bias, float epsilon);
    // cos, sin: (n_tokens, head_dim / 2).
    void add_attention(Place qkv, Place target, std::size_t n_tokens, std::size_t n_heads,
                       std::size_t head_dim, const float* cos, const float* sin);
    // query: width values, read with Pooling::kAttention only.
    void add_pool(Place source, Place target, std::size_t n_rows, std::size_t width, Pooling kind,
                  const float* query);

    // The outputs of a window are n_outputs floats at `place`; its embedding, which run() gives on request,
    // others.
    void set_outputs(Place place, std::size_t n_outputs);
    void set_embedding(Place place, std::size_t n_floats);

    // Writes the outputs of every window, n_windows x n_outputs, and, where `embeddings` is not null, the
    // embeddings, n_windows x n_embedding.
    void run(const std::array<const float*, kInputs>& inputs, std::size_t n_windows, float* outputs,
             float* embeddings = nullptr);

    [[nodiscard]] std::size_t n_outputs() const { return outputs_.width; }
    [[nodiscard]] std::size_t n_embedding() const { return embedding_.width; }
    [[nodiscard]] std::size_t input_size(std::size_t input) const { return sizes_[input]; }
    // How often run() had to make memory: the only occasion on which it allocates.
    [[nodiscard]] std::size_t n_workspaces_made() const { return n_workspaces_made_; }

  private:
    using Step = std::variant<Linear, Standardise, Quantiles, Constant, Normalise, Attention, Pool>;
    struct Workspace;
    struct Result {
        std::size_t buffer, offset, width;
    };

    [[nodiscard]] Result result_at(Place place, std::size_t n_floats) const;
    // Writes that of every window of a block; returns where the next block's begins.
    float* write_result(const Block& block, const Result& result, float* to) const;

    // Copies values, followed by zeros.
    const float* keep(std::size_t n_floats, const float* values, std::size_t n_values);
    [[nodiscard]] View read(Place place, RowCount rows, std::size_t n_floats) const;
    [[nodiscard]] View write(Place place, RowCount rows, std::size_t n_floats) const;
    void add(const Step& step);
    // Those of fewer buffers and steps are too small.
    void forget_workspaces();
    const float* packed(const float* weights, std::size_t n_columns, std::size_t n_values);
    [[nodiscard]] std::unique_ptr<Workspace> borrow();
    void give_back(std::unique_ptr<Workspace> workspace);

    const Kernels* kernels_;
    std::size_t n_block_windows_, scratch_size_ = kAlignment;
    Result outputs_{}, embedding_{};
    std::vector<std::size_t> sizes_;  // of the buffers, floats per window
    std::vector<AlignedFloats> constants_;
    std::vector<Step> steps_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<Workspace>> idle_;
    std::size_t n_workspaces_made_ = 0;
};

// Replaces rows of n_values by their softmax.
void softmax(float* rows, std::size_t n_rows, std::size_t n_values);

// Writes the softmax of rows of logits, computed in float64.
void probabilities(const float* logits, std::size_t n_rows, std::size_t n_values, double* result);

}  // namespace patchtst_har::model
