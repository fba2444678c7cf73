// The only file that knows Python: parses arguments under the GIL, releases it, calls a kernel.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "attention/attention.hpp"
#include "cpu/isa.hpp"
#include "statistics/statistics.hpp"

namespace attention = patchtst_har::attention;
namespace cpu = patchtst_har::cpu;
namespace py = pybind11;
namespace statistics = patchtst_har::statistics;

namespace {

using FloatArray = py::array_t<float, py::array::c_style>;

// Shapes and values are explained to the user in Python; these checks only keep the kernels inside their
// memory.
void require(bool condition, const char* message) {
    if (!condition) throw py::value_error(message);
}

std::size_t extent(const FloatArray& array, py::ssize_t axis) {
    return static_cast<std::size_t>(array.shape(axis));
}

// Memory for one window at a time, kept as long as its thread lives.
statistics::Workspace& workspace() {
    thread_local statistics::Workspace instance;
    return instance;
}

void statistical_features(const FloatArray& windows, double rate_hz, FloatArray& out) {
    require(windows.ndim() == 3 && windows.shape(1) >= 1 && windows.shape(2) == 3,
            "windows must have shape (n, T >= 1, 3)");
    const std::size_t n_windows = extent(windows, 0);
    const std::size_t n_samples = extent(windows, 1);
    require(out.ndim() == 2 && extent(out, 0) == n_windows && extent(out, 1) == statistics::kFeatureCount,
            "out must have shape (n, 56)");
    require(std::isfinite(rate_hz) && rate_hz > 0.0, "sr must be positive and finite");
    const float* window = windows.data();
    float* features = out.mutable_data();
    const py::gil_scoped_release released;
    statistics::Workspace& scratch = workspace();
    for (std::size_t i = 0; i < n_windows; ++i) {
        statistics::compute_features(window, n_samples, rate_hz, scratch, features);
        window += 3 * n_samples;
        features += statistics::kFeatureCount;
    }
}

FloatArray magnitude(const FloatArray& window) {
    require(window.ndim() == 2 && window.shape(0) >= 1 && window.shape(1) == 3,
            "window must have shape (T >= 1, 3)");
    FloatArray result(window.shape(0));
    const float* samples = window.data();
    float* values = result.mutable_data();
    {
        const py::gil_scoped_release released;
        statistics::compute_magnitude(samples, extent(window, 0), workspace(), values);
    }
    return result;
}

std::size_t n_plans_made() {
    return workspace().n_plans_made();
}

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

attention::Inputs attention_inputs(const Extents& shape, const std::array<Address, 3>& qkv_cos_sin,
                                   std::uint64_t seed, std::uint32_t threshold) {
    const auto [n_batch, n_tokens, n_heads, head_dim] = shape;
    require(head_dim % 2 == 0, "head_dim must be even");
    require(threshold < 65536, "threshold must be below 65536");
    const auto [qkv, cos, sin] = qkv_cos_sin;
    return {{n_batch, n_tokens, n_heads, head_dim}, {seed, threshold}, floats(qkv), floats(cos), floats(sin)};
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

FloatArray attention_dropout_factors(std::size_t n_heads, std::size_t n_tokens, std::uint64_t seed,
                                     std::uint32_t threshold) {
    require(threshold < 65536, "threshold must be below 65536");
    FloatArray factors({n_heads, n_tokens, n_tokens});
    float* to = factors.mutable_data();
    const py::gil_scoped_release released;
    attention::dropout_factors({1, n_tokens, n_heads, 2}, {seed, threshold}, to);
    return factors;
}

void drop_values(Address values, std::size_t n, std::uint64_t seed, std::uint32_t threshold, Address result,
                 std::size_t n_threads) {
    require(threshold < 65536, "threshold must be below 65536");
    const py::gil_scoped_release released;
    attention::drop_values(floats(values), n, {seed, threshold}, mutable_floats(result), n_threads);
}

py::dict detected_features() {
    py::dict result;
    for (const auto& feature : cpu::features()) result[feature.name] = feature.present;
    return result;
}

}  // namespace

PYBIND11_MODULE(_core, m) {
    m.doc() = "Compiled kernels of patchtst_har.";
    m.attr("__version__") = PATCHTST_HAR_VERSION;
    try {
        cpu::select_isa_from_environment();
    } catch (const std::invalid_argument& error) {
        throw py::import_error(error.what());
    }
    m.def("available_isas", &cpu::available_isas,
          "Return the instruction sets that run here, fastest first.");
    m.def("active_isa", [] { return cpu::name_of(cpu::active_isa()); }, "Return the instruction set in use.");
    m.def("select_isa", &cpu::select_isa, py::arg("name"), "Use another instruction set in this process.");
    m.def("cpu_features", &detected_features, "Return what the processor and the operating system support.");
    m.def("n_plans_made", &n_plans_made, "Return how often this thread's features had to allocate.");
    m.def("attention_forward", &attention_forward, py::arg("shape"), py::arg("qkv_cos_sin"), py::arg("seed"),
          py::arg("threshold"), py::arg("out"), py::arg("lse"), py::arg("n_threads"),
          "Write rotary attention of float32 memory at these addresses; shape is (B, N, H, d).");
    m.def("attention_backward", &attention_backward, py::arg("shape"), py::arg("qkv_cos_sin"),
          py::arg("seed"), py::arg("threshold"), py::arg("grad_out_lse"), py::arg("grad_qkv"),
          py::arg("n_threads"), "Write the gradient of rotary attention for the queries, keys and values.");
    m.def("attention_dropout_factors", &attention_dropout_factors, py::arg("n_heads"), py::arg("n_tokens"),
          py::arg("seed"), py::arg("threshold"),
          "Return the factors (head, key, query) that dropout puts on the attention weights.");
    m.def("drop_values", &drop_values, py::arg("values"), py::arg("n"), py::arg("seed"), py::arg("threshold"),
          py::arg("result"), py::arg("n_threads"),
          "Write dropout of n float32 values at an address to another.");
    m.def("statistical_features", &statistical_features, py::arg("windows").noconvert(), py::arg("sr"),
          py::arg("out").noconvert(),
          "Write the 56 statistical features of float32 windows (n, T, 3) to out (n, 56).");
    m.def("magnitude", &magnitude, py::arg("window").noconvert(),
          "Return the magnitude (T,) of a float32 window (T, 3) after repair of its non-finite samples.");
}
