#include "bindings/bindings.hpp"

namespace patchtst_har::bindings {
namespace {

constexpr const char* kOutShape = "(n, 24)";
// Memory is laid out by it, even for windows too short for a point.
constexpr std::size_t kMostDimension = 65536;

// Returns the seconds that all windows together spent in magnitude, decimation, embedding, persistence and
// summary.
py::tuple topological_features(const FloatArray& windows, std::size_t factor, std::size_t dimension,
                               std::size_t delay, FloatArray& out) {
    const topology::Embedding embedding{factor, dimension, delay};
    require_shape(windows, "windows", {kAny, kSome, 3}, "(n, T >= 1, 3)");
    require_embedding(extent(windows, 1), embedding);
    topology::StageSeconds seconds;
    for_each_window(windows, out, topology::kFeatureCount, kOutShape,
                    [&](const float* window, std::size_t n_samples, float* features) {
                        topology::compute_features(window, n_samples, embedding, workspace(), features,
                                                   seconds);
                    });
    return py::make_tuple(seconds.magnitude, seconds.decimation, seconds.embedding, seconds.persistence,
                          seconds.summary);
}

void simplified_topological_features(const FloatArray& windows, FloatArray& out) {
    for_each_window(windows, out, topology::kFeatureCount, kOutShape,
                    [](const float* window, std::size_t n_samples, float* features) {
                        topology::compute_simplified_features(window, n_samples, workspace(), features);
                    });
}

}  // namespace

void require_embedding(std::size_t n_samples, const topology::Embedding& embedding) {
    require(embedding.factor >= 1 && embedding.dimension >= 1 && embedding.delay >= 1,
            "factor, dimension and delay must be at least 1");
    require(embedding.factor <= n_samples && embedding.delay <= n_samples,
            "factor and delay must be at most the window's length");
    require(embedding.dimension <= kMostDimension, "dimension must be at most 65536");
    require(topology::count_points(n_samples, embedding) <= persistence::kMostPoints, "too many points");
}

void bind_topology(py::module_& m) {
    m.def("topological_features", &topological_features, py::arg("windows").noconvert(), py::arg("factor"),
          py::arg("dimension"), py::arg("delay"), py::arg("out").noconvert(),
          "Write the 24 topological features of float32 windows (n, T, 3) to out (n, 24); return the seconds "
          "spent in magnitude, decimation, embedding, persistence and summary.");
    m.def("simplified_topological_features", &simplified_topological_features, py::arg("windows").noconvert(),
          py::arg("out").noconvert(),
          "Write the summaries of the sublevel sets of the magnitude of float32 windows (n, T, 3) to out "
          "(n, 24).");
}

}  // namespace patchtst_har::bindings
