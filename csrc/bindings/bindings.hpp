// What the bindings share. Only the files of this folder know Python: they parse arguments under the GIL,
// release it and call a kernel.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cmath>
#include <cstddef>

#include "model/engine.hpp"
#include "persistence/rips.hpp"
#include "statistics/statistics.hpp"
#include "stream/window_classifier.hpp"
#include "topology/topology.hpp"

namespace patchtst_har::bindings {

namespace py = pybind11;

using FloatArray = py::array_t<float, py::array::c_style>;

// Shapes and values are explained to the user in Python; these checks only keep the kernels inside their
// memory.
inline void require(bool condition, const char* message) {
    if (!condition) throw py::value_error(message);
}

inline void require_rate(double rate_hz) {
    require(std::isfinite(rate_hz) && rate_hz > 0.0, "sr must be positive and finite");
}

inline std::size_t extent(const py::array& array, py::ssize_t axis) {
    return static_cast<std::size_t>(array.shape(axis));
}

// Refuses what `noconvert()` would refuse, and memory that does not begin where a float may. For calls that
// allocate nothing: an argument of type FloatArray begins as an empty array, a new one for every call, before
// it becomes what was passed.
inline FloatArray float_array(py::handle argument) {
    constexpr int kAligned = py::detail::npy_api::NPY_ARRAY_ALIGNED_;
    if (!FloatArray::check_(argument) || !py::detail::check_flags(argument.ptr(), kAligned)) {
        throw py::type_error("needs aligned float32 arrays in C order");
    }
    return py::reinterpret_borrow<FloatArray>(argument);
}

// Memory for one window or one cloud at a time, kept as long as its thread lives.
stream::Workspace& workspace();

// The embedding is one that the kernel takes for windows of this length.
void require_embedding(std::size_t n_samples, const topology::Embedding& embedding);

// What a Python object of the class Engine holds.
model::Engine& engine_of(const py::object& engine);

void bind_attention(py::module_& m);
void bind_model(py::module_& m);
void bind_persistence(py::module_& m);
void bind_statistics(py::module_& m);
void bind_stream(py::module_& m);
void bind_topology(py::module_& m);
void bind_window_classifier(py::module_& m);

}  // namespace patchtst_har::bindings
