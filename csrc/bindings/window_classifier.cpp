#include "stream/window_classifier.hpp"
#include "bindings/bindings.hpp"
#include "stream/window_buffer.hpp"

namespace patchtst_har::bindings {
namespace {

using stream::WindowClassifier;

// Factor, dimension and delay.
using EmbeddingTuple = std::array<std::size_t, 3>;

WindowClassifier make_classifier(const py::object& engine, double rate_hz, std::size_t window_size,
                                 std::size_t patch_len, std::size_t patch_hop, bool uses_statistics,
                                 bool uses_movement, const std::optional<EmbeddingTuple>& embedding) {
    require_rate(rate_hz);
    require(window_size <= stream::kMostWindowSize, "window_size must be at most 2**20");
    require(engine_of(engine).n_outputs() >= 1, "the engine has no outputs");
    stream::ClassifierOptions options{rate_hz,         window_size,   patch_len, patch_hop,
                                      uses_statistics, uses_movement, {}};
    if (embedding) {
        const auto [factor, dimension, delay] = *embedding;
        options.embedding = {factor, dimension, delay};
        require_embedding(window_size, *options.embedding);
    }
    return {engine_of(engine), options};
}

py::tuple classify(const WindowClassifier& classifier, const FloatArray& window, const FloatArray& times) {
    require_shape(window, "window", {classifier.options().window_size, 3}, "(window_size, 3)");
    require_shape(times, "times", {1, classifier.n_time_features()}, "(1, n_time_features)");
    DoubleArray probabilities(static_cast<py::ssize_t>(classifier.n_classes()));
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
    new_class<WindowClassifier>(m, "WindowClassifier",
                                "From a window to the probabilities of its classes in one call.")
        .def(py::init(&make_classifier), py::arg("engine"), py::arg("rate_hz"), py::arg("window_size"),
             py::arg("patch_len"), py::arg("patch_hop"), py::arg("uses_statistics"), py::arg("uses_movement"),
             py::arg("embedding"), py::keep_alive<1, 2>())
        .def(
            "classify", &classify, py::arg("window").noconvert(), py::arg("times").noconvert(),
            "Return the probabilities (K,) of a window, and the ns spent in the statistical features, in the "
            "topological ones, and in the rest.");
}

}  // namespace patchtst_har::bindings
