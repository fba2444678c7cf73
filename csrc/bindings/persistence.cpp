#include "bindings/bindings.hpp"

namespace patchtst_har::bindings {
namespace {

FloatArray array_of(const persistence::Bar* bars, std::size_t n_bars) {
    auto result = new_array<float>({n_bars, 2});
    float* ends = result.mutable_data();
    for (std::size_t i = 0; i < n_bars; ++i) {
        *ends++ = bars[i].birth;
        *ends++ = bars[i].death;
    }
    return result;
}

// Calls compute(workspace) without the lock of Python; returns the bars as arrays.
template <typename Compute>
py::tuple diagrams_by(const Compute& compute) {
    persistence::Diagrams diagrams{};
    {
        const py::gil_scoped_release released;
        diagrams = compute(workspace().persistence);
    }
    return py::make_tuple(array_of(diagrams.h0, diagrams.n_h0), array_of(diagrams.h1, diagrams.n_h1));
}

template <typename Array>
py::tuple diagrams_of_points(const Array& points, float max_edge) {
    require_shape(points, "points", {kAny, kSome}, "(n, d >= 1)");
    require(extent(points, 0) <= persistence::kMostPoints, "too many points");
    return diagrams_by([&](persistence::Workspace& memory) {
        return persistence::rips_of_points(points.data(), extent(points, 0), extent(points, 1), max_edge,
                                           memory);
    });
}

py::tuple rips_of_points(const py::array& points, float max_edge) {
    if (py::isinstance<FloatArray>(points)) return diagrams_of_points(FloatArray(points), max_edge);
    require(py::isinstance<DoubleArray>(points), "points must be float32 or float64 in C order");
    return diagrams_of_points(DoubleArray(points), max_edge);
}

py::tuple rips_of_distances(const FloatArray& distances, float max_edge) {
    require_shape(distances, "distances", {kAny, kAny}, "(n, n)");
    require_shape(distances, "distances", {kAny, extent(distances, 0)}, "(n, n)");
    require(extent(distances, 0) <= persistence::kMostPoints, "too many points");
    return diagrams_by([&](persistence::Workspace& memory) {
        return persistence::rips_of_distances(distances.data(), extent(distances, 0), max_edge, memory);
    });
}

}  // namespace

void bind_persistence(py::module_& m) {
    py::register_exception<persistence::MemoryBoundError>(m, "MemoryBoundError", PyExc_MemoryError);
    m.attr("MOST_POINTS") = persistence::kMostPoints;
    const char* rips_doc = "Return the finite bars (k, 2) of H0 and H1, sorted.";
    m.def("rips_persistence", &rips_of_points, py::arg("points"), py::arg("max_edge"), rips_doc);
    m.def("rips_persistence_of_distances", &rips_of_distances, py::arg("distances").noconvert(),
          py::arg("max_edge"), rips_doc);
}

}  // namespace patchtst_har::bindings
