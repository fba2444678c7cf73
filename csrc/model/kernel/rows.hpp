// Steps that work on rows: scaling, layer norm, pooling.
#pragma once

#include "model/kernel/attention.hpp"

namespace patchtst_har::model {
namespace {

void standardise(const Standardise& step, const Block& block) {
    using Row = simd::Block<float, kLanes>;
    for (std::size_t window = 0; window < block.n_windows; ++window) {
        const float* source = source_of(block, step.source, window);
        float* target = target_of(block, step.target, window);
        for (std::size_t j = 0; j < step.width; j += kLanes) {
            const std::size_t left = step.width - j;
            const Row centred = Row::first(source + j, left) - Row::first(step.mean + j, left);
            const Row scaled = centred * Row::first(step.inverse_std + j, left);
            const Row limited_row{{limited(scaled.part[0], -step.limit, step.limit)}};
            limited_row.first_to(target + j, left);
        }
    }
}

void quantiles(const Quantiles& step, const Block& block) {
    using Row = simd::Block<float, kLanes>;
    const std::size_t stride = (step.width + kAlignment - 1) / kAlignment * kAlignment;
    const float height = 2.0F * step.limit / static_cast<float>(step.n_steps);
    for (std::size_t window = 0; window < block.n_windows; ++window) {
        const float* source = source_of(block, step.source, window);
        float* target = target_of(block, step.target, window);
        for (std::size_t j = 0; j < step.width; j += kLanes) {
            const std::size_t left = step.width - j;
            const Vector value = Row::first(source + j, left).part[0];
            const float* lower = step.lower + j;
            const float* inverse = step.inverse_width + j;
            Vector passed = {};
            for (std::size_t i = 0; i < step.n_steps; ++i, lower += stride, inverse += stride) {
                passed += limited((value - load(lower)) * load(inverse), 0.0F, 1.0F);
            }
            const Row scaled{{fused(passed, all(height), all(-step.limit))}};
            scaled.first_to(target + j, left);
        }
    }
}

void constant(const Constant& step, const Block& block) {
    if (step.width == 0) return;  // of no values, the addresses may be null
    for (std::size_t window = 0; window < block.n_windows; ++window) {
        float* target = target_of(block, step.target, window);
        __builtin_memcpy(target, step.values, step.width * sizeof(float));
    }
}

// n_vectors: those of a row. Where the compiler knows it, a row stays in registers.
PATCHTST_HAR_INLINE void normalise_rows(const Normalise& step, const Block& block, std::size_t n_vectors) {
    const std::size_t width = step.width;
    const std::size_t last = (n_vectors - 1) * kLanes;
    const float* gain = step.gain;
    const float* bias = step.bias;
    const float epsilon = step.epsilon;
    const float scale = 1.0F / static_cast<float>(width);
    const float* first_source = block.sources[step.source.buffer];
    float* first_target = block.targets[step.target.buffer];
    Rows sources(step.source, step.n_rows, 1);
    Rows targets(step.target, step.n_rows, 1);
    for (std::size_t n_left = block.n_windows * step.n_rows; n_left > 0; --n_left) {
        const float* source = first_source + sources.next();
        float* target = first_target + targets.next();
        Vector sums = first_lanes(load(source + last), width - last, 0.0F);
#pragma GCC unroll 4
        for (std::size_t j = 0; j < last; j += kLanes) sums += load(source + j);
        const float mean = reduced(sums, Sum{}) * scale;
        const Vector end = first_lanes(load(source + last) - mean, width - last, 0.0F);
        Vector squares = end * end;
#pragma GCC unroll 4
        for (std::size_t j = 0; j < last; j += kLanes) {
            const Vector centred = load(source + j) - mean;
            squares = fused(centred, centred, squares);
        }
        const float inverse = 1.0F / __builtin_sqrtf(reduced(squares, Sum{}) * scale + epsilon);
#pragma GCC unroll 4
        for (std::size_t j = 0; j <= last; j += kLanes) {
            const Vector scaled = (load(source + j) - mean) * inverse;
            store(target + j, fused(scaled, load(gain + j), load(bias + j)));
        }
    }
}

void normalise(const Normalise& step, const Block& block) {
    const std::size_t n_vectors = vectors_for(step.width);
    if (n_vectors == 1) return normalise_rows(step, block, 1);
    if (n_vectors == 2) return normalise_rows(step, block, 2);
    if (n_vectors == 3) return normalise_rows(step, block, 3);
    if (n_vectors == 4) return normalise_rows(step, block, 4);
    normalise_rows(step, block, n_vectors);
}

// Softmax of the first n values of a row; the rest of its last vector is unspecified.
PATCHTST_HAR_INLINE void softmax(float* row, std::size_t n) {
    constexpr float kLowest = -3.4028235e38F;
    Vector maxima = all(kLowest);
    for (std::size_t j = 0; j < n; j += kLanes) {
        maxima = Larger{}(first_lanes(load(row + j), n - j, kLowest), maxima);
    }
    const float maximum = reduced(maxima, Larger{});
    Vector sums = {};
    for (std::size_t j = 0; j < n; j += kLanes) {
        const Vector e = first_lanes(exponential(load(row + j) - maximum), n - j, 0.0F);
        sums += e;
        store(row + j, e);
    }
    const float scale = 1.0F / reduced(sums, Sum{});
    for (std::size_t j = 0; j < n; j += kLanes) store(row + j, load(row + j) * scale);
}

// Writes the weights of the rows to weights[0..n_rows).
PATCHTST_HAR_INLINE void weigh(const Pool& step, const float* rows, float* weights) {
    if (step.kind == Pooling::kMean) {
        for (std::size_t i = 0; i < step.n_rows; ++i) weights[i] = 1.0F / static_cast<float>(step.n_rows);
        return;
    }
    for (std::size_t i = 0; i < step.n_rows; ++i) {
        const float* row = rows + i * step.source.outer_stride;
        Vector products = {};
        for (std::size_t j = 0; j < vectors_for(step.width) * kLanes; j += kLanes) {
            products = fused(load(row + j), load(step.query + j), products);
        }
        weights[i] = reduced(products, Sum{});
    }
    softmax(weights, step.n_rows);
}

PATCHTST_HAR_INLINE void pool_maximum(const Pool& step, const float* rows, float* target) {
    for (std::size_t j = 0; j < vectors_for(step.width) * kLanes; j += kLanes) {
        Vector maxima = load(rows + j);
        for (std::size_t i = 1; i < step.n_rows; ++i) {
            maxima = Larger{}(load(rows + i * step.source.outer_stride + j), maxima);
        }
        store(target + j, maxima);
    }
}

void pool(const Pool& step, const Block& block) {
    for (std::size_t window = 0; window < block.n_windows; ++window) {
        const float* rows = source_of(block, step.source, window);
        float* target = target_of(block, step.target, window);
        if (step.kind == Pooling::kMaximum) {
            pool_maximum(step, rows, target);
            continue;
        }
        weigh(step, rows, block.scratch);
        for (std::size_t j = 0; j < vectors_for(step.width) * kLanes; j += kLanes) {
            Vector sums = {};
            for (std::size_t i = 0; i < step.n_rows; ++i) {
                sums = fused(all(block.scratch[i]), load(rows + i * step.source.outer_stride + j), sums);
            }
            store(target + j, sums);
        }
    }
}

}  // namespace
}  // namespace patchtst_har::model
