#include <algorithm>
#include <initializer_list>

#include "attention/attention.hpp"
#include "bindings/bindings.hpp"

namespace patchtst_har::bindings {
namespace {

// Tensors come as addresses of contiguous float32 memory: this file knows no torch, and numpy would refuse
// tensors that require gradients. The caller in Python has checked sizes.
using Address = std::uintptr_t;
using Extents = std::array<std::size_t, 4>;

const float* floats(Address address) {
    return reinterpret_cast<const float*>(address);  // NOLINT(performance-no-int-to-ptr)
}

float* mutable_floats(Address address) {
    return reinterpret_cast<float*>(address);  // NOLINT(performance-no-int-to-ptr)
}

constexpr std::size_t kMostValues = std::size_t{1} << 31U;  // of a tensor
constexpr std::size_t kMostThreads = 1024;

// The number of values of a tensor; refused before it could overflow.
std::size_t count_values(std::initializer_list<std::size_t> lengths) {
    std::size_t n = 1;
    for (const std::size_t length : lengths) {
        require(length <= kMostValues && n * length <= kMostValues, "a tensor has at most 2**31 values");
        n *= length;
    }
    return n;
}

void require_floats(std::initializer_list<Address> addresses) {
    for (const Address address : addresses) {
        require(address != 0 && address % sizeof(float) == 0, "needs addresses of float32 memory");
    }
}

void require_threads(std::size_t n_threads) {
    require(n_threads <= kMostThreads, "n_threads must be at most 1024");
}

bool is_empty(const Extents& shape) {
    return std::find(shape.begin(), shape.end(), 0U) != shape.end();
}

attention::Dropout dropout_of(std::uint64_t seed, std::uint32_t threshold) {
    require(threshold < 65536, "threshold must be below 65536");
    return {seed, threshold};
}

attention::Inputs attention_inputs(const Extents& shape, const std::array<Address, 3>& qkv_cos_sin,
                                   std::uint64_t seed, std::uint32_t threshold) {
    const auto [n_batch, n_tokens, n_heads, head_dim] = shape;
    require(head_dim >= 2 && head_dim % 2 == 0, "head_dim must be even");
    count_values({std::max<std::size_t>(n_batch, 1), std::max<std::size_t>(n_tokens, 1),
                  std::max<std::size_t>(n_heads, 1), head_dim, 3});
    const auto [qkv, cos, sin] = qkv_cos_sin;
    return {{n_batch, n_tokens, n_heads, head_dim},
            dropout_of(seed, threshold),
            floats(qkv),
            floats(cos),
            floats(sin)};
}

void attention_forward(const Extents& shape, const std::array<Address, 3>& qkv_cos_sin, std::uint64_t seed,
                       std::uint32_t threshold, Address out, Address lse, std::size_t n_threads) {
    const attention::Inputs inputs = attention_inputs(shape, qkv_cos_sin, seed, threshold);
    if (is_empty(shape)) return;
    require_floats({qkv_cos_sin[0], qkv_cos_sin[1], qkv_cos_sin[2], out, lse});
    require_threads(n_threads);
    const py::gil_scoped_release released;
    attention::forward(inputs, {mutable_floats(out), mutable_floats(lse)}, n_threads);
}

void attention_backward(const Extents& shape, const std::array<Address, 3>& qkv_cos_sin, std::uint64_t seed,
                        std::uint32_t threshold, const std::array<Address, 3>& grad_out_lse, Address grad_qkv,
                        std::size_t n_threads) {
    const attention::Inputs inputs = attention_inputs(shape, qkv_cos_sin, seed, threshold);
    const auto [grad_out, out, lse] = grad_out_lse;
    if (is_empty(shape)) return;
    require_floats({qkv_cos_sin[0], qkv_cos_sin[1], qkv_cos_sin[2], grad_out, out, lse, grad_qkv});
    require_threads(n_threads);
    const py::gil_scoped_release released;
    attention::backward(inputs, {floats(grad_out), floats(out), floats(lse), mutable_floats(grad_qkv)},
                        n_threads);
}

void drop_values(Address values, std::size_t n, std::uint64_t seed, std::uint32_t threshold, Address result,
                 std::size_t n_threads) {
    const attention::Dropout dropout = dropout_of(seed, threshold);
    if (count_values({n}) == 0) return;
    require_floats({values, result});
    require_threads(n_threads);
    const py::gil_scoped_release released;
    attention::drop_values(floats(values), n, dropout, mutable_floats(result), n_threads);
}

}  // namespace

void bind_attention(py::module_& m) {
    m.def("attention_forward", &attention_forward, py::arg("shape"), py::arg("qkv_cos_sin"), py::arg("seed"),
          py::arg("threshold"), py::arg("out"), py::arg("lse"), py::arg("n_threads"),
          "Write rotary attention of float32 memory at these addresses; shape is (B, N, H, d).");
    m.def("attention_backward", &attention_backward, py::arg("shape"), py::arg("qkv_cos_sin"),
          py::arg("seed"), py::arg("threshold"), py::arg("grad_out_lse"), py::arg("grad_qkv"),
          py::arg("n_threads"), "Write the gradient of rotary attention for the queries, keys and values.");
    m.def("drop_values", &drop_values, py::arg("values"), py::arg("n"), py::arg("seed"), py::arg("threshold"),
          py::arg("result"), py::arg("n_threads"),
          "Write dropout of n float32 values at an address to another.");
}

}  // namespace patchtst_har::bindings
