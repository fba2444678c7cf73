// What the bindings share. Only the files of this folder know Python: they parse arguments under the GIL,
// release it and call a kernel.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cmath>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <vector>

#include "model/engine.hpp"
#include "model/familiarity.hpp"
#include "persistence/rips.hpp"
#include "statistics/statistics.hpp"
#include "stream/window_classifier.hpp"
#include "topology/topology.hpp"

namespace patchtst_har::bindings {

namespace py = pybind11;

using FloatArray = py::array_t<float, py::array::c_style>;
using DoubleArray = py::array_t<double, py::array::c_style>;

// Shapes and values are explained to the user in Python; these checks only keep the kernels inside their
// memory, and their sizes within what 64 bits can count. Addresses, which attention takes, cannot be checked.
inline void require(bool condition, const char* message) {
    if (!condition) throw py::value_error(message);
}

inline void require_rate(double rate_hz) {
    require(std::isfinite(rate_hz) && rate_hz > 0.0, "sr must be positive and finite");
}

inline std::size_t extent(const py::array& array, py::ssize_t axis) {
    return static_cast<std::size_t>(array.shape(axis));
}

// Lengths of an axis that may be any, or any but 0.
constexpr std::size_t kAny = static_cast<std::size_t>(-1);
constexpr std::size_t kSome = kAny - 1;

// Refuses an array of other lengths; `shape` is what its user reads of them.
inline void require_shape(const py::array& array, const char* name,
                          std::initializer_list<std::size_t> lengths, const char* shape) {
    bool fits = static_cast<std::size_t>(array.ndim()) == lengths.size();
    py::ssize_t axis = 0;
    for (auto length = lengths.begin(); fits && length != lengths.end(); ++length, ++axis) {
        fits =
            *length == kAny || (*length == kSome ? extent(array, axis) >= 1 : extent(array, axis) == *length);
    }
    if (fits) return;
    const auto found = py::str(array.attr("shape")).cast<std::string>();
    throw py::value_error(std::string(name) + " must have shape " + shape + ", has " + found);
}

// Values of a vector of this length.
template <typename Array>
auto vector_of(const Array& values, const char* name, std::size_t n, const char* shape) {
    require_shape(values, name, {n}, shape);
    return values.data();
}

// Uninitialised, for a kernel to write to.
template <typename Value>
py::array_t<Value, py::array::c_style> new_array(std::initializer_list<std::size_t> shape) {
    return py::array_t<Value, py::array::c_style>(std::vector<std::size_t>(shape));
}

// A class whose type is `type`, as its stub says, and not the metaclass of pybind11.
template <typename Type>
py::class_<Type> new_class(py::module_& m, const char* name, const char* doc) {
    return py::class_<Type>(m, name, py::metaclass(reinterpret_cast<PyObject*>(&PyType_Type)), doc);
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

// Calls compute(window, n_samples, features) for each of the windows (n, T >= 1, 3) and its row of `out`,
// without the lock of Python. Each window is contiguous; windows may lie apart or overlap.
template <typename Compute>
void for_each_window(const py::array& windows, FloatArray& out, std::size_t n_features, const char* out_shape,
                     const Compute& compute) {
    constexpr py::ssize_t kItem = sizeof(float);
    require_shape(windows, "windows", {kAny, kSome, 3}, "(n, T >= 1, 3)");
    require_shape(out, "out", {extent(windows, 0), n_features}, out_shape);
    const py::ssize_t n_windows = windows.shape(0);
    if (n_windows == 0) return;  // strides of an empty array mean nothing
    require(windows.strides(2) == kItem && (windows.shape(1) == 1 || windows.strides(1) == 3 * kItem) &&
                windows.strides(0) % kItem == 0,
            "windows must each be contiguous");
    const std::size_t n_samples = extent(windows, 1);
    const py::ssize_t step = windows.strides(0) / kItem;
    const auto* first = static_cast<const float*>(windows.data());
    float* features = out.mutable_data();
    const py::gil_scoped_release released;
    for (py::ssize_t i = 0; i < n_windows; ++i, features += n_features) {
        compute(first + i * step, n_samples, features);
    }
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

}  // namespace patchtst_har::bindings
