#include "model/engine.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

#include "cpu/isa.hpp"
#include "support/rotation.hpp"

namespace patchtst_har::model {
namespace {

constexpr std::size_t kMostRows = std::size_t{1} << 24U;  // also of one row, read again and again
constexpr std::size_t kAllColumns = 2;                    // queries and keys are rotated, values are not

std::size_t aligned(std::size_t n) {
    return (n + kAlignment - 1) / kAlignment * kAlignment;
}

// Replaces one half of a float's bits by the bfloat16 next to a value, the even one of two.
void set_half(float* pair, std::size_t half, float value) {
    constexpr std::uint32_t kBelowHalf = 0x7FFF;
    constexpr unsigned kHalfBits = 16;
    std::uint32_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    if (!std::isnan(value)) bits += kBelowHalf + (bits >> kHalfBits & 1U);
    const auto rounded = static_cast<std::uint16_t>(bits >> kHalfBits);
    std::memcpy(reinterpret_cast<char*>(pair) + half * sizeof rounded, &rounded, sizeof rounded);
}

void require(bool condition, const char* message) {
    if (!condition) throw std::invalid_argument(message);
}

template <typename Real>
void softmax_of(const float* rows, std::size_t n_rows, std::size_t n_values, Real* result) {
    for (std::size_t r = 0; r < n_rows; ++r, rows += n_values, result += n_values) {
        const Real maximum = *std::max_element(rows, rows + n_values);
        Real total{};
        for (std::size_t i = 0; i < n_values; ++i) {
            result[i] = std::exp(static_cast<Real>(rows[i]) - maximum);
            total += result[i];
        }
        for (std::size_t i = 0; i < n_values; ++i) result[i] /= total;
    }
}

struct Runner {
    const Kernels& kernels;
    const Block& block;

    void operator()(const Linear& step) const { kernels.linear(step, block); }
    void operator()(const Standardise& step) const { kernels.standardise(step, block); }
    void operator()(const Quantiles& step) const { kernels.quantiles(step, block); }
    void operator()(const Constant& step) const { kernels.constant(step, block); }
    void operator()(const Normalise& step) const { kernels.normalise(step, block); }
    void operator()(const Attention& step) const { kernels.attention(step, block); }
    void operator()(const Pool& step) const { kernels.pool(step, block); }
};

}  // namespace

const Kernels& active_kernels() {
    return cpu::active_table<kBaselineKernels, kAvx2Kernels, kAvx512Kernels>();
}

const Kernels& kernels_for(Precision precision) {
    if (precision == Precision::kFloat32) return active_kernels();
    const bool present = cpu::has_feature("avx512_bf16");
    const cpu::Isa active = cpu::active_isa();
#if defined(PATCHTST_HAR_X86)
    if (present && active == cpu::Isa::kAvx512) return kAvx512Bf16Kernels;
#endif
    throw std::invalid_argument(
        std::string("bfloat16 needs the instruction set avx512 and a processor with avx512_bf16; ") +
        (present ? std::string("the instruction set in use is ") + cpu::name_of(active)
                 : std::string("this processor has none")));
}

// One thread's memory: every buffer for a block of windows.
struct Engine::Workspace {
    Workspace(const std::vector<std::size_t>& sizes, std::size_t n_windows, std::size_t scratch_size)
        : scratch(scratch_size, 0.0F) {
        for (std::size_t i = kInputs; i < sizes.size(); ++i) {
            memory.emplace_back(sizes[i] * n_windows, 0.0F);
            block.sources[i] = block.targets[i] = memory.back().data();
        }
        block.scratch = scratch.data();
    }

    AlignedFloats scratch;
    std::vector<AlignedFloats> memory;
    Block block{};
};

Engine::Engine(const std::array<std::size_t, kInputs>& input_sizes, std::size_t n_block_windows,
               Precision precision)
    : kernels_(&kernels_for(precision)),
      n_block_windows_(n_block_windows),
      sizes_(input_sizes.begin(), input_sizes.end()) {
    require(n_block_windows >= 1, "a block needs at least one window");
    require(n_block_windows <= kMostFloats, "a block has too many windows");
}

Engine::~Engine() = default;

void Engine::add(const Step& step) {
    steps_.push_back(step);
    forget_workspaces();
}

void Engine::forget_workspaces() {
    const std::scoped_lock lock(mutex_);
    idle_.clear();
}

std::size_t Engine::add_buffer(std::size_t n_floats) {
    require(sizes_.size() < kMostBuffers, "too many buffers");
    require(n_floats <= kMostFloats / n_block_windows_, "a buffer is too large");
    sizes_.push_back(aligned(n_floats));
    forget_workspaces();
    return sizes_.size() - 1;
}

void Engine::add_linear(Place source, Place target, RowCount rows, Segments segments, std::size_t n_columns,
                        const float* weights, const float* bias, Activation activation, bool adds) {
    require(segments.count >= 1 && segments.length >= 1 && n_columns >= 1, "an empty product");
    require(segments.count <= kMostFloats && segments.length <= kMostFloats && segments.stride <= kMostFloats,
            "the segments are too long");
    const std::size_t n_values = segments.count * segments.length;
    const std::size_t width = aligned(n_columns);
    Linear step{};
    step.source = read(source, rows, (segments.count - 1) * segments.stride + segments.length);
    step.target = write(target, rows, width);
    step.n_outer = rows.n_outer;
    step.n_inner = rows.n_inner;
    step.n_segments = segments.count;
    step.segment_length = segments.length;
    step.segment_stride = segments.stride;
    step.n_vectors = (n_columns + kernels_->lanes - 1) / kernels_->lanes;
    step.weights = packed(weights, n_columns, n_values);
    step.bias = keep(width, bias, n_columns);
    step.activation = activation;
    step.adds = adds;
    if (kernels_->pairs) {
        // The rounded rows of a tile.
        scratch_size_ = std::max(scratch_size_, kernels_->tile_rows * aligned(pairs_for(n_values)));
    }
    add(step);
}

void Engine::add_standardise(Place source, Place target, std::size_t width, const float* mean,
                             const float* inverse_std, float limit) {
    const RowCount one{1, 1};
    add(Standardise{read(source, one, width), write(target, one, width), width, keep(width, mean, width),
                    keep(width, inverse_std, width), limit});
}

void Engine::add_quantiles(Place source, Place target, std::size_t width, std::size_t n_steps,
                           const float* lower, const float* inverse_width, float limit) {
    require(n_steps >= 1 && width >= 1, "a map without steps or values");
    require(n_steps <= kMostFloats / aligned(width), "the map is too large");
    const RowCount one{1, 1};
    const View from = read(source, one, width);
    const View to = write(target, one, width);
    const auto spread = [&](const float* values) {
        AlignedFloats rows(n_steps * aligned(width), 0.0F);
        for (std::size_t i = 0; i < n_steps; ++i) {
            std::copy_n(values + i * width, width, rows.data() + i * aligned(width));
        }
        constants_.push_back(std::move(rows));
        return constants_.back().data();
    };
    const float* starts = spread(lower);
    add(Quantiles{from, to, width, n_steps, starts, spread(inverse_width), limit});
}

void Engine::add_constant(Place target, std::size_t width, const float* values) {
    const std::size_t padded = aligned(width);
    add(Constant{write(target, {1, 1}, padded), padded, keep(padded, values, width)});
}

void Engine::add_normalise(Place source, Place target, std::size_t n_rows, std::size_t width,
                           const float* gain, const float* bias, float epsilon) {
    require(width >= 1, "rows without values");
    const std::size_t padded = aligned(width);
    const RowCount rows{n_rows, 1};
    add(Normalise{read(source, rows, padded), write(target, rows, padded), n_rows, width,
                  keep(padded, gain, width), keep(padded, bias, width), epsilon});
}

void Engine::add_attention(Place qkv, Place target, std::size_t n_tokens, std::size_t n_heads,
                           std::size_t head_dim, const float* cos, const float* sin) {
    require(n_heads >= 1 && head_dim >= 2 && head_dim % 2 == 0, "head_dim must be even");
    require(n_heads <= kMostFloats && head_dim <= kMostFloats / n_heads / (kAllColumns + 1),
            "the heads are too many");
    const std::size_t width = n_heads * head_dim;
    const std::size_t table_width = aligned(kAllColumns * width);
    const std::size_t last_head = width - head_dim + aligned(head_dim);
    const RowCount rows{n_tokens, 1};
    static_cast<void>(write(qkv, rows, std::max(table_width, kAllColumns * width + last_head)));
    const View source = read(qkv, rows, table_width);
    const View result = write(target, rows, last_head);
    // What fills the last vector of the tables is not rotated.
    AlignedFloats cosines(n_tokens * table_width, 1.0F);
    AlignedFloats sines(n_tokens * table_width, 0.0F);
    const std::size_t n_pairs = head_dim / 2;
    for (std::size_t token = 0; token < n_tokens; ++token) {
        for (std::size_t head = 0; head < kAllColumns * n_heads; ++head) {
            const std::size_t to = token * table_width + head * head_dim;
            support::spread_rotation(cos + token * n_pairs, sin + token * n_pairs, n_pairs, &cosines[to],
                                     &sines[to]);
        }
    }
    add(Attention{source, result, n_tokens, n_heads, head_dim, cosines.data(), sines.data(), table_width});
    constants_.push_back(std::move(cosines));
    constants_.push_back(std::move(sines));
    // Queries and scores of a panel.
    const std::size_t panel = std::min(aligned(n_tokens), kernels_->panel_vectors * kernels_->lanes);
    scratch_size_ = std::max(scratch_size_, panel * (head_dim + n_tokens));
}

void Engine::add_pool(Place source, Place target, std::size_t n_rows, std::size_t width, Pooling kind,
                      const float* query) {
    const std::size_t padded = aligned(width);
    const View rows = read(source, {n_rows, 1}, padded);
    const View pooled = write(target, {1, 1}, padded);
    add(Pool{rows, pooled, n_rows, width, kind, keep(padded, query, width)});
    scratch_size_ = std::max(scratch_size_, aligned(n_rows));
}

void Engine::set_outputs(Place place, std::size_t n_outputs) {
    outputs_ = result_at(place, n_outputs);
}

void Engine::set_embedding(Place place, std::size_t n_floats) {
    embedding_ = result_at(place, n_floats);
}

Engine::Result Engine::result_at(Place place, std::size_t n_floats) const {
    require(n_floats <= kMostFloats, "a result is too large");
    const View view = write(place, {1, 1}, n_floats);
    return {view.buffer, view.offset, n_floats};
}

float* Engine::write_result(const Block& block, const Result& result, float* to) const {
    const float* from = block.sources[result.buffer] + result.offset;
    for (std::size_t i = 0; i < block.n_windows; ++i, to += result.width) {
        std::copy_n(from + i * sizes_[result.buffer], result.width, to);
    }
    return to;
}

void Engine::run(const std::array<const float*, kInputs>& inputs, std::size_t n_windows, float* outputs,
                 float* embeddings) {
    if (n_outputs() == 0 || n_windows == 0) return;
    std::unique_ptr<Workspace> workspace = borrow();
    Block& block = workspace->block;
    for (std::size_t i = 0; i < kInputs; ++i) block.sources[i] = inputs[i];
    for (std::size_t first = 0; first < n_windows; first += n_block_windows_) {
        block.n_windows = std::min(n_block_windows_, n_windows - first);
        for (const auto& step : steps_) std::visit(Runner{*kernels_, block}, step);
        outputs = write_result(block, outputs_, outputs);
        if (embeddings != nullptr) embeddings = write_result(block, embedding_, embeddings);
        for (std::size_t i = 0; i < kInputs; ++i) block.sources[i] += block.n_windows * sizes_[i];
    }
    give_back(std::move(workspace));
}

const float* Engine::keep(std::size_t n_floats, const float* values, std::size_t n_values) {
    constants_.emplace_back(n_floats, 0.0F);
    std::copy_n(values, n_values, constants_.back().data());
    return constants_.back().data();
}

// Panels of at most panel_vectors vectors of columns; within one, a row for each source value or pair of
// them.
const float* Engine::packed(const float* weights, std::size_t n_columns, std::size_t n_values) {
    const std::size_t lanes = kernels_->lanes;
    const std::size_t n_padded = (n_columns + lanes - 1) / lanes * lanes;
    const std::size_t panel = kernels_->panel_vectors * lanes;
    const std::size_t n_rows = kernels_->pairs ? pairs_for(n_values) : n_values;
    AlignedFloats result(n_padded * n_rows, 0.0F);
    for (std::size_t column = 0; column < n_columns; ++column) {
        const std::size_t first = column / panel * panel;
        const std::size_t width = std::min(panel, n_padded - first);
        float* target = result.data() + first * n_rows + (column - first);
        for (std::size_t k = 0; k < n_values; ++k) {
            const float weight = weights[column * n_values + k];
            if (kernels_->pairs) {
                set_half(target + k / 2 * width, k % 2, weight);
            } else {
                target[k * width] = weight;
            }
        }
    }
    constants_.push_back(std::move(result));
    return constants_.back().data();
}

View Engine::read(Place place, RowCount rows, std::size_t n_floats) const {
    require(place.buffer < sizes_.size(), "no such buffer");
    require(rows.n_outer >= 1 && rows.n_inner >= 1, "no rows");
    require(
        rows.n_outer <= kMostRows && rows.n_inner <= kMostRows && rows.n_outer * rows.n_inner <= kMostRows,
        "too many rows");
    require(
        place.offset <= kMostFloats && place.outer_stride <= kMostFloats && place.inner_stride <= kMostFloats,
        "rows reach beyond their buffer");
    const std::size_t last =
        place.offset + (rows.n_outer - 1) * place.outer_stride + (rows.n_inner - 1) * place.inner_stride;
    require(last + n_floats <= sizes_[place.buffer], "rows reach beyond their buffer");
    return {place.buffer, sizes_[place.buffer], place.offset, place.outer_stride, place.inner_stride};
}

View Engine::write(Place place, RowCount rows, std::size_t n_floats) const {
    require(place.buffer >= kInputs, "inputs are read only");
    return read(place, rows, n_floats);
}

void softmax(float* rows, std::size_t n_rows, std::size_t n_values) {
    softmax_of(rows, n_rows, n_values, rows);
}

void probabilities(const float* logits, std::size_t n_rows, std::size_t n_values, double* result) {
    softmax_of(logits, n_rows, n_values, result);
}

std::unique_ptr<Engine::Workspace> Engine::borrow() {
    const std::scoped_lock lock(mutex_);
    if (idle_.empty()) {
        ++n_workspaces_made_;
        idle_.reserve(n_workspaces_made_);
        return std::make_unique<Workspace>(sizes_, n_block_windows_, scratch_size_);
    }
    std::unique_ptr<Workspace> workspace = std::move(idle_.back());
    idle_.pop_back();
    return workspace;
}

void Engine::give_back(std::unique_ptr<Workspace> workspace) {
    const std::scoped_lock lock(mutex_);
    idle_.push_back(std::move(workspace));
}

}  // namespace patchtst_har::model
