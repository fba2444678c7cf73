#include <algorithm>

#include "bindings/bindings.hpp"

namespace patchtst_har::bindings {
namespace {

using StridedFloatArray = py::array_t<float, 0>;

void statistical_features(const StridedFloatArray& windows, double rate_hz, FloatArray& out) {
    require_rate(rate_hz);
    for_each_window(windows, out, statistics::kFeatureCount, "(n, n_features)",
                    [rate_hz](const float* window, std::size_t n_samples, float* features) {
                        statistics::compute_features(window, n_samples, rate_hz, workspace().statistics,
                                                     features);
                    });
}

FloatArray window_statistics(const FloatArray& window, double rate_hz) {
    require_shape(window, "window", {kSome, 3}, "(T >= 1, 3)");
    require_rate(rate_hz);
    FloatArray result(statistics::kFeatureCount);
    const float* samples = window.data();
    float* features = result.mutable_data();
    const py::gil_scoped_release released;
    statistics::compute_features(samples, extent(window, 0), rate_hz, workspace().statistics, features);
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

py::tuple feature_names() {
    py::tuple names(statistics::kFeatureCount);
    for (std::size_t i = 0; i < statistics::kFeatureCount; ++i) names[i] = statistics::kFeatureNames[i];
    return names;
}

}  // namespace

void bind_statistics(py::module_& m) {
    m.attr("STATISTICAL_FEATURE_NAMES") = feature_names();
    m.def(
        "n_plans_made", [] { return workspace().statistics.n_plans_made(); },
        "Return how often this thread's features had to allocate.");
    m.def("statistical_features", &statistical_features, py::arg("windows").noconvert(), py::arg("sr"),
          py::arg("out").noconvert(),
          "Write the statistical features of float32 windows (n, T, 3) to out (n, n_features).");
    m.def("window_statistics", &window_statistics, py::arg("window").noconvert(), py::arg("sr"),
          "Return the statistical features of a float32 window (T, 3).");
    m.def("magnitude", &magnitude, py::arg("window").noconvert(),
          "Return the magnitude (T,) of a float32 window (T, 3) after repair of its non-finite samples.");
}

}  // namespace patchtst_har::bindings
