#include <algorithm>
#include <cmath>
#include <cstddef>

#include "bindings/bindings.hpp"
#include "statistics/statistics.hpp"

namespace patchtst_har::bindings {
namespace {

using StridedFloatArray = py::array_t<float, 0>;

// Each window is contiguous; windows may lie apart or overlap.
void statistical_features(const StridedFloatArray& windows, double rate_hz, FloatArray& out) {
    constexpr py::ssize_t kItem = sizeof(float);
    require(windows.ndim() == 3 && windows.shape(1) >= 1 && windows.shape(2) == 3,
            "windows must have shape (n, T >= 1, 3)");
    const std::size_t n_windows = extent(windows, 0);
    const std::size_t n_samples = extent(windows, 1);
    require(out.ndim() == 2 && extent(out, 0) == n_windows && extent(out, 1) == statistics::kFeatureCount,
            "out must have shape (n, n_features)");
    require_rate(rate_hz);
    if (n_windows == 0) return;  // strides of an empty array mean nothing
    require(windows.strides(2) == kItem && (windows.shape(1) == 1 || windows.strides(1) == 3 * kItem) &&
                windows.strides(0) % kItem == 0,
            "windows must each be contiguous");
    const float* window = windows.data();
    const py::ssize_t step = windows.strides(0) / kItem;
    float* features = out.mutable_data();
    const py::gil_scoped_release released;
    statistics::Workspace& scratch = workspace().statistics;
    for (std::size_t i = 0; i < n_windows; ++i) {
        statistics::compute_features(window + static_cast<py::ssize_t>(i) * step, n_samples, rate_hz, scratch,
                                     features);
        features += statistics::kFeatureCount;
    }
}

FloatArray window_statistics(const FloatArray& window, double rate_hz) {
    require(window.ndim() == 2 && window.shape(0) >= 1 && window.shape(1) == 3,
            "window must have shape (T >= 1, 3)");
    require_rate(rate_hz);
    FloatArray result(statistics::kFeatureCount);
    const float* samples = window.data();
    float* features = result.mutable_data();
    {
        const py::gil_scoped_release released;
        statistics::compute_features(samples, extent(window, 0), rate_hz, workspace().statistics, features);
    }
    return result;
}

FloatArray magnitude(const FloatArray& window) {
    require(window.ndim() == 2 && window.shape(0) >= 1 && window.shape(1) == 3,
            "window must have shape (T >= 1, 3)");
    FloatArray result(window.shape(0));
    const float* samples = window.data();
    float* values = result.mutable_data();
    {
        const py::gil_scoped_release released;
        const std::size_t n = extent(window, 0);
        std::copy_n(statistics::compute_magnitude(samples, n, workspace().statistics), n, values);
    }
    return result;
}

py::tuple feature_names() {
    py::tuple names(statistics::kFeatureCount);
    for (std::size_t i = 0; i < statistics::kFeatureCount; ++i) names[i] = statistics::kFeatureNames[i];
    return names;
}

std::size_t n_plans_made() {
    return workspace().statistics.n_plans_made();
}

}  // namespace

void bind_statistics(py::module_& m) {
    m.attr("STATISTICAL_FEATURE_NAMES") = feature_names();
    m.def("n_plans_made", &n_plans_made, "Return how often this thread's features had to allocate.");
    m.def("statistical_features", &statistical_features, py::arg("windows").noconvert(), py::arg("sr"),
          py::arg("out").noconvert(),
          "Write the statistical features of float32 windows (n, T, 3) to out (n, n_features).");
    m.def("window_statistics", &window_statistics, py::arg("window").noconvert(), py::arg("sr"),
          "Return the statistical features of a float32 window (T, 3).");
    m.def("magnitude", &magnitude, py::arg("window").noconvert(),
          "Return the magnitude (T,) of a float32 window (T, 3) after repair of its non-finite samples.");
}

}  // namespace patchtst_har::bindings
