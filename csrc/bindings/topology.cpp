#include <cstddef>

#include "bindings/bindings.hpp"
#include "persistence/rips.hpp"
#include "topology/topology.hpp"

namespace patchtst_har::bindings {
namespace {

void require_topology_shapes(const FloatArray& windows, const FloatArray& out) {
    require(windows.ndim() == 3 && windows.shape(1) >= 1 && windows.shape(2) == 3,
            "windows must have shape (n, T >= 1, 3)");
    require(out.ndim() == 2 && out.shape(0) == windows.shape(0) && extent(out, 1) == topology::kFeatureCount,
            "out must have shape (n, 24)");
}

// Returns the seconds that all windows together spent in magnitude, decimation, embedding, persistence and
// summary.
py::tuple topological_features(const FloatArray& windows, std::size_t factor, std::size_t dimension,
                               std::size_t delay, FloatArray& out) {
    require_topology_shapes(windows, out);
    const std::size_t n_windows = extent(windows, 0);
    const std::size_t n_samples = extent(windows, 1);
    const topology::Embedding embedding{factor, dimension, delay};
    require_embedding(n_samples, embedding);
    const float* window = windows.data();
    float* features = out.mutable_data();
    topology::StageSeconds seconds;
    {
        const py::gil_scoped_release released;
        for (std::size_t i = 0; i < n_windows; ++i) {
            topology::compute_features(window, n_samples, embedding, workspace(), features, seconds);
            window += 3 * n_samples;
            features += topology::kFeatureCount;
        }
    }
    return py::make_tuple(seconds.magnitude, seconds.decimation, seconds.embedding, seconds.persistence,
                          seconds.summary);
}

void simplified_topological_features(const FloatArray& windows, FloatArray& out) {
    require_topology_shapes(windows, out);
    const std::size_t n_windows = extent(windows, 0);
    const std::size_t n_samples = extent(windows, 1);
    const float* window = windows.data();
    float* features = out.mutable_data();
    const py::gil_scoped_release released;
    for (std::size_t i = 0; i < n_windows; ++i) {
        topology::compute_simplified_features(window, n_samples, workspace(), features);
        window += 3 * n_samples;
        features += topology::kFeatureCount;
    }
}

}  // namespace

void require_embedding(std::size_t n_samples, const topology::Embedding& embedding) {
    require(embedding.factor >= 1 && embedding.dimension >= 1 && embedding.delay >= 1,
            "factor, dimension and delay must be at least 1");
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
