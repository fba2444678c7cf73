#include <algorithm>

#include "bindings/bindings.hpp"

namespace patchtst_har::bindings {
namespace {

using StridedFloatArray = py::array_t<float, 0>;

// compute_features() or compute_movement(), and how many values it writes.
template <auto compute, std::size_t n_features>
void features_of_windows(const StridedFloatArray& windows, double rate_hz, FloatArray& out) {
    require_rate(rate_hz);
    for_each_window(windows, out, n_features, "(n, n_features)",
                    [rate_hz](const float* window, std::size_t n_samples, float* features) {
                        compute(window, n_samples, rate_hz, workspace().statistics, features);
                    });
}

template <auto compute, std::size_t n_features>
FloatArray features_of_window(const FloatArray& window, double rate_hz) {
    require_shape(window, "window", {kSome, 3}, "(T >= 1, 3)");
    require_rate(rate_hz);
    FloatArray result(n_features);
    const float* samples = window.data();
    float* features = result.mutable_data();
    const py::gil_scoped_release released;
    compute(samples, extent(window, 0), rate_hz, workspace().statistics, features);
    return result;
}

FloatArray magnitude(const FloatArray& window) {
    require_shape(window, "window", {kSome, 3}, "(T >= 1, 3)");
    FloatArray result(window.shape(0));
    const float* samples = window.data();
    float* values = result.mutable_data();
    const py::gil_scoped_release released;
    const std::size_t n = extent(window, 0);
    std::copy_n(statistics::compute_magnitude(samples, n, workspace().statistics), n, values);
    return result;
}

template <std::size_t n>
py::tuple tuple_of(const char* const (&names)[n]) {
    py::tuple result(n);
    for (std::size_t i = 0; i < n; ++i) result[i] = names[i];
    return result;
}

}  // namespace

void bind_statistics(py::module_& m) {
    using statistics::compute_features, statistics::compute_movement;
    using statistics::kFeatureCount, statistics::kMovementCount;
    m.attr("STATISTICAL_FEATURE_NAMES") = tuple_of(statistics::kFeatureNames);
    m.attr("MOVEMENT_FEATURE_NAMES") = tuple_of(statistics::kMovementNames);
    m.def(
        "n_plans_made", [] { return workspace().statistics.n_plans_made(); },
        "Return how often this thread's features had to allocate.");
    m.def("statistical_features", &features_of_windows<&compute_features, kFeatureCount>,
          py::arg("windows").noconvert(), py::arg("sr"), py::arg("out").noconvert(),
          "Write the statistical features of float32 windows (n, T, 3) to out (n, n_features).");
    m.def("window_statistics", &features_of_window<&compute_features, kFeatureCount>,
          py::arg("window").noconvert(), py::arg("sr"),
          "Return the statistical features of a float32 window (T, 3).");
    m.def("movement_features", &features_of_windows<&compute_movement, kMovementCount>,
          py::arg("windows").noconvert(), py::arg("sr"), py::arg("out").noconvert(),
          "Write the movement features of float32 windows (n, T, 3) to out (n, n_features).");
    m.def("window_movement", &features_of_window<&compute_movement, kMovementCount>,
          py::arg("window").noconvert(), py::arg("sr"),
          "Return the movement features of a float32 window (T, 3).");
    m.def("magnitude", &magnitude, py::arg("window").noconvert(),
          "Return the magnitude (T,) of a float32 window (T, 3) after repair of its non-finite samples.");
}

}  // namespace patchtst_har::bindings
