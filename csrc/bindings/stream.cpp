#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <pybind11/stl.h>

#include "bindings/bindings.hpp"
#include "stream/causal_smoother.hpp"
#include "stream/window_buffer.hpp"

namespace patchtst_har::bindings {
namespace {

using DoubleArray = py::array_t<double, py::array::c_style>;
using Int64Array = py::array_t<std::int64_t, py::array::c_style>;

// Handing the lock of Python over and back costs more than feeding so few samples.
constexpr std::size_t kMostSamplesUnderLock = 64;

std::size_t feed(stream::WindowBuffer& buffer, const FloatArray& samples,
                 const std::optional<Int64Array>& stamps_ns, std::size_t first) {
    require(samples.ndim() == 2 && samples.shape(1) == stream::kAxes, "samples must have shape (n, 3)");
    const std::size_t n = extent(samples, 0);
    require(first <= n, "first must not lie behind the samples");
    require(!stamps_ns || (stamps_ns->ndim() == 1 && extent(*stamps_ns, 0) == n),
            "stamps_ns must have shape (n,)");
    const float* values = samples.data();
    const std::int64_t* stamps = stamps_ns ? stamps_ns->data() : nullptr;
    if (n - first <= kMostSamplesUnderLock) return buffer.feed(values, stamps, first, n);
    const py::gil_scoped_release released;
    return buffer.feed(values, stamps, first, n);
}

std::size_t feed_sample(stream::WindowBuffer& buffer, float x, float y, float z, std::int64_t stamp_ns,
                        std::size_t first) {
    require(first <= 1, "first must not lie behind the sample");
    const std::array<float, stream::kAxes> sample{x, y, z};
    return buffer.feed(sample.data(), &stamp_ns, first, 1);
}

// A view of the buffer's own memory, which it keeps alive.
FloatArray window_view(const py::object& self) {
    const auto& buffer = self.cast<const stream::WindowBuffer&>();
    require(buffer.ready(), "no window is complete");
    const auto n = static_cast<py::ssize_t>(buffer.options().window_size);
    return FloatArray({n, static_cast<py::ssize_t>(stream::kAxes)}, buffer.window(), self);
}

py::tuple place_of(const stream::WindowBuffer& buffer) {
    const auto& place = buffer.place();
    return py::make_tuple(place.start_ns, place.stretch, place.number, place.restarts);
}

py::dict counts_of(const stream::WindowBuffer& buffer) {
    const auto& counts = buffer.state().counts;
    py::dict result;
    result["n_samples"] = counts.n_samples;
    result["n_nonfinite"] = counts.n_nonfinite;
    result["n_zero"] = counts.n_zero;
    result["n_out_of_range"] = counts.n_out_of_range;
    result["n_repeated_stamps"] = counts.n_repeated_stamps;
    result["n_gaps"] = counts.n_gaps;
    result["n_jumps"] = counts.n_jumps;
    return result;
}

// The numbers of a state, in one order for reading and for writing.
template <typename State>
auto numbers_of(State& state) {
    auto& counts = state.counts;
    return std::array{
        &counts.n_samples,    &counts.n_nonfinite, &counts.n_zero,           &counts.n_repeated_stamps,
        &counts.n_gaps,       &counts.n_jumps,     &state.previous.stamp_ns, &state.current.stamp_ns,
        &state.start_ns,      &state.next_point,   &state.stretch,           &state.last_stamp_ns,
        &state.last_place_ns, &state.n_same_stamp, &state.span_start_ns,     &state.n_span,
        &state.n_unstamped,   &counts.n_out_of_range};
}

// All numbers, whether there is a last stamp and a stretch; the last two samples and the points kept.
py::tuple buffer_state(const stream::WindowBuffer& buffer) {
    const stream::BufferState& state = buffer.state();
    std::vector<std::int64_t> numbers;
    for (const std::int64_t* number : numbers_of(state)) numbers.push_back(*number);
    numbers.push_back(state.has_stamp ? 1 : 0);
    numbers.push_back(state.in_stretch ? 1 : 0);
    FloatArray points(
        {static_cast<py::ssize_t>(buffer.n_kept()) + 2, static_cast<py::ssize_t>(stream::kAxes)});
    float* values = points.mutable_data();
    values = std::copy(state.previous.value.begin(), state.previous.value.end(), values);
    values = std::copy(state.current.value.begin(), state.current.value.end(), values);
    buffer.copy_kept(values);
    return py::make_tuple(Int64Array(static_cast<py::ssize_t>(numbers.size()), numbers.data()), points);
}

void restore_buffer(stream::WindowBuffer& buffer, const Int64Array& numbers, const FloatArray& points) {
    stream::BufferState state;
    const auto targets = numbers_of(state);
    require(numbers.ndim() == 1 && extent(numbers, 0) == targets.size() + 2, "numbers has the wrong length");
    require(points.ndim() == 2 && points.shape(0) >= 2 && points.shape(1) == stream::kAxes,
            "points must have shape (n >= 2, 3)");
    const std::int64_t* values = numbers.data();
    for (std::int64_t* target : targets) *target = *values++;
    state.has_stamp = *values++ != 0;
    state.in_stretch = *values != 0;
    const float* sample = points.data();
    std::copy_n(sample, stream::kAxes, state.previous.value.begin());
    std::copy_n(sample + stream::kAxes, stream::kAxes, state.current.value.begin());
    buffer.restore(state, sample + 2 * stream::kAxes, extent(points, 0) - 2);
}

constexpr std::size_t kMostWindowSize = std::size_t{1} << 20U;

stream::WindowBuffer make_buffer(double rate_hz, std::size_t window_size, std::size_t hop_size,
                                 double max_gap_s) {
    require_rate(rate_hz);
    require(window_size >= 1 && hop_size >= 1 && hop_size <= window_size,
            "1 <= hop_size <= window_size must hold");
    require(window_size <= kMostWindowSize, "window_size must be at most 2**20");
    require(std::isfinite(max_gap_s) && max_gap_s > 0.0, "max_gap_s must be positive and finite");
    return stream::WindowBuffer({rate_hz, window_size, hop_size, max_gap_s * 1e9});
}

std::vector<double> matrix_of(const DoubleArray& values, std::size_t n) {
    require(static_cast<std::size_t>(values.size()) == n, "transitions and emissions must have shape (K, K)");
    return {values.data(), values.data() + values.size()};
}

stream::CausalSmoother make_smoother(const DoubleArray& start, const DoubleArray& transitions,
                                     const DoubleArray& emissions, double exponent, std::size_t lag) {
    const auto n = static_cast<std::size_t>(start.size());
    require(n >= 1 && lag <= 1000, "needs at least one class and a lag of at most 1000");
    return {{matrix_of(start, n), matrix_of(transitions, n * n), matrix_of(emissions, n * n), exponent}, lag};
}

bool observe(stream::CausalSmoother& smoother, const DoubleArray& probabilities) {
    require(static_cast<std::size_t>(probabilities.size()) == smoother.n_classes(),
            "probabilities must have shape (K,)");
    return smoother.observe(probabilities.data());
}

DoubleArray filtered(const stream::CausalSmoother& smoother) {
    require(smoother.n_held() >= 1, "no window was observed");
    DoubleArray posterior(static_cast<py::ssize_t>(smoother.n_classes()));
    smoother.filtered(posterior.mutable_data());
    return posterior;
}

DoubleArray look_ahead(stream::CausalSmoother& smoother, std::size_t back) {
    require(back < smoother.n_held(), "so many windows are not held");
    DoubleArray posterior(static_cast<py::ssize_t>(smoother.n_classes()));
    smoother.look_ahead(back, posterior.mutable_data());
    return posterior;
}

DoubleArray smoother_state(const stream::CausalSmoother& smoother) {
    const std::size_t size = smoother.n_classes();
    DoubleArray filters({static_cast<py::ssize_t>(smoother.n_held()), static_cast<py::ssize_t>(size)});
    for (std::size_t back = 0; back < smoother.n_held(); ++back) {
        std::copy_n(smoother.filter_row(back), size, filters.mutable_data() + back * size);
    }
    return filters;
}

void restore_smoother(stream::CausalSmoother& smoother, const DoubleArray& filters) {
    require(filters.ndim() == 2 && extent(filters, 0) <= smoother.lag() + 1 &&
                extent(filters, 1) == smoother.n_classes(),
            "filters must have shape (n <= lag + 1, K)");
    smoother.restore(filters.data(), extent(filters, 0));
}

}  // namespace

void bind_stream(py::module_& m) {
    m.attr("MOST_G") = stream::kMostG;
    m.attr("MOST_STAMP_NS") = stream::kMostNs;
    const auto type = py::metaclass(reinterpret_cast<PyObject*>(&PyType_Type));
    py::register_exception<stream::TooFastError>(m, "TooFastError", PyExc_RuntimeError);
    py::class_<stream::WindowBuffer>(m, "WindowBuffer", type, "Samples on a regular grid, cut into windows.")
        .def(py::init(&make_buffer), py::arg("rate_hz"), py::arg("window_size"), py::arg("hop_size"),
             py::arg("max_gap_s"))
        .def("feed", &feed, py::arg("samples").noconvert(), py::arg("stamps_ns").noconvert(),
             py::arg("first"), "Take samples until a window is complete; return the first not taken.")
        .def("feed_sample", &feed_sample, py::arg("x"), py::arg("y"), py::arg("z"), py::arg("stamp_ns"),
             py::arg("first"), "Do what feed() does, with one sample.")
        .def("finish", &stream::WindowBuffer::finish, "End the stretch.")
        .def_property_readonly("ready", &stream::WindowBuffer::ready, "Whether a window is complete.")
        .def("window", &window_view, "Return the window (window_size, 3), valid until the next sample.")
        .def("place", &place_of, "Return start_ns, stretch, number in the stretch, restarts of the window.")
        .def("counts", &counts_of, "Return what was counted of the samples.")
        .def("state", &buffer_state, "Return numbers and points from which restore() goes on.")
        .def("restore", &restore_buffer, py::arg("numbers").noconvert(), py::arg("points").noconvert());
    py::class_<stream::CausalSmoother>(m, "CausalSmoother", type, "A hidden Markov model, window by window.")
        .def(py::init(&make_smoother), py::arg("start").noconvert(), py::arg("transitions").noconvert(),
             py::arg("emissions").noconvert(), py::arg("exponent"), py::arg("lag"))
        .def("restart", &stream::CausalSmoother::restart, "The next window begins a sequence.")
        .def("observe", &observe, py::arg("probabilities").noconvert(),
             "Take a window's probabilities; return whether it is possible.")
        .def("skip", &stream::CausalSmoother::skip, "Take a window of which nothing is known.")
        .def_property_readonly("n_held", &stream::CausalSmoother::n_held,
                               "Windows whose posterior can be asked for.")
        .def("filtered", &filtered, "Return the posterior (K,) of the last window.")
        .def("look_ahead", &look_ahead, py::arg("back"),
             "Return the posterior (K,) of the window `back` before the last.")
        .def("state", &smoother_state, "Return the filters (n, K) from which restore() goes on.")
        .def("restore", &restore_smoother, py::arg("filters").noconvert());
}

}  // namespace patchtst_har::bindings
