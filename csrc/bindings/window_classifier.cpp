#include <pybind11/stl.h>

#include <array>
#include <cstddef>
#include <optional>

#include "bindings/bindings.hpp"
#include "stream/window_classifier.hpp"

namespace patchtst_har::bindings {
namespace {

using stream::WindowClassifier;

// Factor, dimension and delay.
using EmbeddingTuple = std::array<std::size_t, 3>;

WindowClassifier make_classifier(const py::object& engine, double rate_hz, std::size_t window_size,
                                 std::size_t patch_len, std::size_t patch_hop, bool uses_statistics,
                                 const std::optional<EmbeddingTuple>& embedding) {
    require_rate(rate_hz);
    stream::ClassifierOptions options{rate_hz, window_size, patch_len, patch_hop, uses_statistics, {}};
    if (embedding) {
        const auto [factor, dimension, delay] = *embedding;
        require_embedding(window_size, {factor, dimension, delay});
        options.embedding = {factor, dimension, delay};
    }
    return {engine_of(engine), options};
}

py::tuple classify(const WindowClassifier& classifier, const FloatArray& window, const FloatArray& times) {
    require(
        window.ndim() == 2 && extent(window, 0) == classifier.options().window_size && window.shape(1) == 3,
        "window must have shape (window_size, 3)");
    require(static_cast<std::size_t>(times.size()) == classifier.n_time_features(),
            "times must have shape (1, n_time_features)");
    py::array_t<double> probabilities(static_cast<py::ssize_t>(classifier.n_classes()));
    const float* samples = window.data();
    const float* features = times.data();
    double* values = probabilities.mutable_data();
    stream::StageNs stage_ns{};
    {
        const py::gil_scoped_release released;
        stage_ns = classifier.classify(samples, features, workspace(), values);
    }
    return py::make_tuple(probabilities, py::make_tuple(stage_ns[0], stage_ns[1], stage_ns[2]));
}

}  // namespace

void bind_window_classifier(py::module_& m) {
    py::class_<WindowClassifier>(m, "WindowClassifier",
                                 py::metaclass(reinterpret_cast<PyObject*>(&PyType_Type)),
                                 "From a window to the probabilities of its classes in one call.")
        .def(py::init(&make_classifier), py::arg("engine"), py::arg("rate_hz"), py::arg("window_size"),
             py::arg("patch_len"), py::arg("patch_hop"), py::arg("uses_statistics"), py::arg("embedding"),
             py::keep_alive<1, 2>())
        .def(
            "classify", &classify, py::arg("window").noconvert(), py::arg("times").noconvert(),
            "Return the probabilities (K,) of a window, and the ns spent in the statistical features, in the "
            "topological ones, and in the rest.");
}

}  // namespace patchtst_har::bindings
