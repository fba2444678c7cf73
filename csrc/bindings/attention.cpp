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

attention::Dropout dropout_of(std::uint64_t seed, std::uint32_t threshold) {
    require(threshold < 65536, "threshold must be below 65536");
    return {seed, threshold};
}

attention::Inputs attention_inputs(const Extents& shape, const std::array<Address, 3>& qkv_cos_sin,
                                   std::uint64_t seed, std::uint32_t threshold) {
    const auto [n_batch, n_tokens, n_heads, head_dim] = shape;
    require(head_dim % 2 == 0, "head_dim must be even");
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
    const py::gil_scoped_release released;
    attention::forward(inputs, {mutable_floats(out), mutable_floats(lse)}, n_threads);
}

void attention_backward(const Extents& shape, const std::array<Address, 3>& qkv_cos_sin, std::uint64_t seed,
                        std::uint32_t threshold, const std::array<Address, 3>& grad_out_lse, Address grad_qkv,
                        std::size_t n_threads) {
    const attention::Inputs inputs = attention_inputs(shape, qkv_cos_sin, seed, threshold);
    const auto [grad_out, out, lse] = grad_out_lse;
    const py::gil_scoped_release released;
    attention::backward(inputs, {floats(grad_out), floats(out), floats(lse), mutable_floats(grad_qkv)},
                        n_threads);
}

void drop_values(Address values, std::size_t n, std::uint64_t seed, std::uint32_t threshold, Address result,
                 std::size_t n_threads) {
    const attention::Dropout dropout = dropout_of(seed, threshold);
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
