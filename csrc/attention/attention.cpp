#include "attention/attention.hpp"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>

#include "attention/kernels.hpp"
#include "cpu/dispatch.hpp"
#include "threads/pool.hpp"

namespace patchtst_har::attention {
namespace {

constexpr std::size_t kAlignment = 64;

struct Free {
    void operator()(float* memory) const { std::free(memory); }
};
using Floats = std::unique_ptr<float, Free>;

Floats allocate(std::size_t n) {
    const std::size_t bytes = padded(n) * sizeof(float);
    auto* memory = static_cast<float*>(std::aligned_alloc(kAlignment, bytes));
    if (memory == nullptr) throw std::bad_alloc();
    return Floats(memory);
}

class RotationTables {
  public:
    explicit RotationTables(const Inputs& inputs) {
        const std::size_t n_pairs = inputs.shape.head_dim / 2;
        const std::size_t width = padded(inputs.shape.head_dim);
        const std::size_t size = inputs.shape.n_tokens * width;
        memory_ = allocate(2 * size);
        float* cos = memory_.get();
        float* sin = cos + size;
        std::fill_n(cos, 2 * size, 0.0F);
        for (std::size_t t = 0; t < inputs.shape.n_tokens; ++t) {
            for (std::size_t i = 0; i < n_pairs; ++i) {
                const std::size_t pair = t * n_pairs + i;
                const std::size_t at = t * width + 2 * i;
                cos[at] = cos[at + 1] = inputs.cos[pair];
                sin[at] = -inputs.sin[pair];
                sin[at + 1] = inputs.sin[pair];
            }
        }
        tables_ = {cos, sin};
    }

    [[nodiscard]] const Tables& get() const { return tables_; }

  private:
    Floats memory_;
    Tables tables_{};
};

std::size_t n_heads_of(const Shape& shape) {
    return shape.n_batch * shape.n_heads;
}

// Waking a thread takes some ten microseconds: each has to have more than that to do.
std::size_t useful_threads(const Shape& shape, std::size_t n_threads, std::size_t n_products) {
    constexpr std::size_t kWorthAThread = 500'000;  // multiply-adds
    const std::size_t head = shape.n_tokens * shape.n_tokens * shape.head_dim * n_products;
    const std::size_t all = head * n_heads_of(shape);
    return std::max<std::size_t>(1, std::min(n_threads, all / kWorthAThread));
}

// Calls body(head, scratch) for every head; the memory is there before the threads begin, which must not
// throw.
template <typename Body>
void for_each_head(const Shape& shape, std::size_t n_threads, std::size_t scratch_size, const Body& body) {
    const std::size_t size = padded(scratch_size);
    const Floats scratch = allocate(n_threads * size);
    const auto heads = [&](std::size_t thread, std::size_t begin, std::size_t end) {
        for (std::size_t head = begin; head < end; ++head) body(head, scratch.get() + thread * size);
    };
    threads::parallel_for(n_heads_of(shape), n_threads, heads);
}

}  // namespace

const Kernels& active_kernels() {
    return cpu::active_table<kBaselineKernels, kAvx2Kernels, kAvx512Kernels>();
}

void forward(const Inputs& inputs, const Outputs& outputs, std::size_t n_threads) {
    const Kernels& kernels = active_kernels();
    const RotationTables tables(inputs);
    for_each_head(inputs.shape, useful_threads(inputs.shape, n_threads, 2),
                  kernels.forward_scratch(inputs.shape), [&](std::size_t head, float* scratch) {
                      kernels.forward(inputs, tables.get(), outputs, head, scratch);
                  });
}

void backward(const Inputs& inputs, const Gradients& gradients, std::size_t n_threads) {
    const Kernels& kernels = active_kernels();
    const RotationTables tables(inputs);
    for_each_head(inputs.shape, useful_threads(inputs.shape, n_threads, 5),
                  kernels.backward_scratch(inputs.shape), [&](std::size_t head, float* scratch) {
                      kernels.backward(inputs, tables.get(), gradients, head, scratch);
                  });
}

void dropout_factors(const Shape& shape, const Dropout& dropout, float* factors) {
    const Kernels& kernels = active_kernels();
    for (std::size_t head = 0; head < n_heads_of(shape); ++head) {
        kernels.dropout_factors(shape, dropout, head, factors);
    }
}

void drop_values(const float* values, std::size_t n, const Dropout& dropout, float* result,
                 std::size_t n_threads) {
    constexpr std::size_t kChunk = 16384;  // a few microseconds
    constexpr std::size_t kWorthAThread = 65536;
    const Kernels& kernels = active_kernels();
    const auto chunks = [&](std::size_t /*thread*/, std::size_t begin, std::size_t end) {
        kernels.drop_values(values, begin * kChunk, std::min(n, end * kChunk), dropout, result);
    };
    const std::size_t useful = std::min(n_threads, n / kWorthAThread);
    threads::parallel_for((n + kChunk - 1) / kChunk, useful, chunks);
}

}  // namespace patchtst_har::attention
