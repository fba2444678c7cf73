#include "attention/attention.hpp"

#include <algorithm>

#include "attention/kernels.hpp"
#include "cpu/isa.hpp"
#include "support/aligned.hpp"
#include "support/rotation.hpp"
#include "threads/pool.hpp"

namespace patchtst_har::attention {
namespace {

class RotationTables {
  public:
    explicit RotationTables(const Inputs& inputs)
        : width_(padded(inputs.shape.head_dim)),
          cos_(inputs.shape.n_tokens * width_, 0.0F),
          sin_(inputs.shape.n_tokens * width_, 0.0F) {
        const std::size_t n_pairs = inputs.shape.head_dim / 2;
        for (std::size_t t = 0; t < inputs.shape.n_tokens; ++t) {
            support::spread_rotation(inputs.cos + t * n_pairs, inputs.sin + t * n_pairs, n_pairs,
                                     &cos_[t * width_], &sin_[t * width_]);
        }
    }

    [[nodiscard]] Tables get() const { return {cos_.data(), sin_.data()}; }

  private:
    std::size_t width_;
    support::AlignedFloats cos_, sin_;
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

// Calls body(tables, head, scratch) for every head; the memory is there before the threads begin, which must
// not throw.
template <typename Body>
void for_each_head(const Inputs& inputs, std::size_t n_threads, std::size_t scratch_size, const Body& body) {
    const RotationTables tables(inputs);
    const std::size_t size = padded(scratch_size);
    support::AlignedFloats scratch(n_threads * size);
    const auto heads = [&](std::size_t thread, std::size_t begin, std::size_t end) {
        for (std::size_t head = begin; head < end; ++head) body(tables.get(), head, &scratch[thread * size]);
    };
    threads::parallel_for(n_heads_of(inputs.shape), n_threads, heads);
}

}  // namespace

const Kernels& active_kernels() {
    return cpu::active_table<kBaselineKernels, kAvx2Kernels, kAvx512Kernels>();
}

void forward(const Inputs& inputs, const Outputs& outputs, std::size_t n_threads) {
    const Kernels& kernels = active_kernels();
    for_each_head(inputs, useful_threads(inputs.shape, n_threads, 2), kernels.forward_scratch(inputs.shape),
                  [&](const Tables& tables, std::size_t head, float* scratch) {
                      kernels.forward(inputs, tables, outputs, head, scratch);
                  });
}

void backward(const Inputs& inputs, const Gradients& gradients, std::size_t n_threads) {
    const Kernels& kernels = active_kernels();
    for_each_head(inputs, useful_threads(inputs.shape, n_threads, 5), kernels.backward_scratch(inputs.shape),
                  [&](const Tables& tables, std::size_t head, float* scratch) {
                      kernels.backward(inputs, tables, gradients, head, scratch);
                  });
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
