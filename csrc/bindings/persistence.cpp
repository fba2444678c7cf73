#include <cstddef>

#include "bindings/bindings.hpp"
#include "persistence/rips.hpp"

namespace patchtst_har::bindings {
namespace {

FloatArray array_of(const persistence::Bar* bars, std::size_t n_bars) {
    FloatArray result({static_cast<py::ssize_t>(n_bars), py::ssize_t{2}});
    float* ends = result.mutable_data();
    for (std::size_t i = 0; i < n_bars; ++i) {
        *ends++ = bars[i].birth;
        *ends++ = bars[i].death;
    }
    return result;
}

py::tuple arrays_of(const persistence::Diagrams& diagrams) {
    return py::make_tuple(array_of(diagrams.h0, diagrams.n_h0), array_of(diagrams.h1, diagrams.n_h1));
}

template <typename Real>
py::tuple diagrams_of_points(const py::array_t<Real, py::array::c_style>& points, float max_edge) {
    require(points.ndim() == 2 && points.shape(1) >= 1, "points must have shape (n, d >= 1)");
    require(static_cast<std::size_t>(points.shape(0)) <= persistence::kMostPoints, "too many points");
    persistence::Diagrams diagrams{};
    {
        const py::gil_scoped_release released;
        diagrams = persistence::rips_of_points(points.data(), static_cast<std::size_t>(points.shape(0)),
                                               static_cast<std::size_t>(points.shape(1)), max_edge,
                                               workspace().persistence);
    }
    return arrays_of(diagrams);
}

py::tuple rips_of_points(const py::array& points, float max_edge) {
    using DoubleArray = py::array_t<double, py::array::c_style>;
    if (py::isinstance<FloatArray>(points)) return diagrams_of_points(FloatArray(points), max_edge);
    require(py::isinstance<DoubleArray>(points), "points must be float32 or float64 in C order");
    return diagrams_of_points(DoubleArray(points), max_edge);
}

py::tuple rips_of_distances(const FloatArray& distances, float max_edge) {
    require(distances.ndim() == 2 && distances.shape(0) == distances.shape(1),
            "distances must have shape (n, n)");
    require(extent(distances, 0) <= persistence::kMostPoints, "too many points");
    persistence::Diagrams diagrams{};
    {
        const py::gil_scoped_release released;
        diagrams = persistence::rips_of_distances(distances.data(), extent(distances, 0), max_edge,
                                                  workspace().persistence);
    }
    return arrays_of(diagrams);
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
