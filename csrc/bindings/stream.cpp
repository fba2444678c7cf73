#include <algorithm>
#include <utility>

#include "bindings/bindings.hpp"
#include "stream/causal_smoother.hpp"
#include "stream/interpolation.hpp"
#include "stream/window_buffer.hpp"

namespace patchtst_har::bindings {
namespace {

using Int64Array = py::array_t<std::int64_t, py::array::c_style>;

// Handing the lock of Python over and back costs more than feeding so few samples.
constexpr std::size_t kMostSamplesUnderLock = 64;

std::size_t feed(stream::WindowBuffer& buffer, const FloatArray& samples,
                 const std::optional<Int64Array>& stamps_ns, std::size_t first) {
    require_shape(samples, "samples", {kAny, stream::kAxes}, "(n, 3)");
    const std::size_t n = extent(samples, 0);
    require(first <= n, "first must not lie behind the samples");
    const float* values = samples.data();
    const std::int64_t* stamps = stamps_ns ? vector_of(*stamps_ns, "stamps_ns", n, "(n,)") : nullptr;
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

DoubleArray interpolate(const Int64Array& stamps_ns, const FloatArray& samples, const Int64Array& grid_ns) {
    require_shape(samples, "samples", {kSome, stream::kAxes}, "(n, 3)");
    require_shape(grid_ns, "grid_ns", {kAny}, "(k,)");
    const std::size_t n = extent(samples, 0);
    const std::size_t count = extent(grid_ns, 0);
    const std::int64_t* stamps = vector_of(stamps_ns, "stamps_ns", n, "(n,)");
    DoubleArray points({count, stream::kAxes});
    double* values = points.mutable_data();
    const py::gil_scoped_release released;
    stream::interpolate(stamps, samples.data(), n, grid_ns.data(), count, values);
    return points;
}

// A view of the buffer's own memory, which it keeps alive.
FloatArray window_view(const py::object& self) {
    const auto& buffer = self.cast<const stream::WindowBuffer&>();
    require(buffer.ready(), "no window is complete");
    return FloatArray({buffer.options().window_size, stream::kAxes}, buffer.window(), self);
}

py::tuple place_of(const stream::WindowBuffer& buffer) {
    const auto& place = buffer.place();
    return py::make_tuple(place.start_ns, place.segment, place.number, place.restarts);
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
        &counts.n_samples,    &counts.n_nonfinite,   &counts.n_zero,           &counts.n_repeated_stamps,
        &counts.n_gaps,       &counts.n_jumps,       &state.previous.stamp_ns, &state.current.stamp_ns,
        &state.start_ns,      &state.next_point,     &state.segment,           &state.last_stamp_ns,
        &state.last_place_ns, &state.n_same_stamp,   &state.span_start_ns,     &state.n_span,
        &state.n_unstamped,   &counts.n_out_of_range};
}

// All numbers, whether there is a last stamp and a segment; the last two samples and the points kept.
py::tuple buffer_state(const stream::WindowBuffer& buffer) {
    const stream::BufferState& state = buffer.state();
    std::vector<std::int64_t> numbers;
    for (const std::int64_t* number : numbers_of(state)) numbers.push_back(*number);
    numbers.push_back(state.has_stamp ? 1 : 0);
    numbers.push_back(state.in_segment ? 1 : 0);
    auto points = new_array<float>({buffer.n_kept() + 2, stream::kAxes});
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
    require_shape(points, "points", {kAny, stream::kAxes}, "(n >= 2, 3)");
    require(extent(points, 0) >= 2, "points must have shape (n >= 2, 3)");
    const std::int64_t* values = numbers.data();
    for (std::int64_t* target : targets) *target = *values++;
    state.has_stamp = *values++ != 0;
    state.in_segment = *values != 0;
    const float* sample = points.data();
    std::copy_n(sample, stream::kAxes, state.previous.value.begin());
    std::copy_n(sample + stream::kAxes, stream::kAxes, state.current.value.begin());
    buffer.restore(state, sample + 2 * stream::kAxes, extent(points, 0) - 2);
}

stream::WindowBuffer make_buffer(double rate_hz, std::size_t window_size, std::size_t hop_size,
                                 double max_gap_s) {
    require_rate(rate_hz);
    // A period must be a number of ns that 64 bits can count.
    require(rate_hz >= 1e-6 && rate_hz <= 1e9, "rate_hz must be from 1e-6 to 1e9");
    require(window_size >= 1 && hop_size >= 1 && hop_size <= window_size,
            "1 <= hop_size <= window_size must hold");
    require(window_size <= stream::kMostWindowSize, "window_size must be at most 2**20");
    require(std::isfinite(max_gap_s) && max_gap_s > 0.0, "max_gap_s must be positive and finite");
    return stream::WindowBuffer({rate_hz, window_size, hop_size, max_gap_s * 1e9});
}

std::vector<double> values_of(const DoubleArray& array) {
    return {array.data(), array.data() + array.size()};
}

stream::CausalSmoother make_smoother(const DoubleArray& start, const DoubleArray& transitions,
                                     const DoubleArray& emissions, double exponent, std::size_t lag) {
    require_shape(start, "start", {kSome}, "(K >= 1,)");
    require_shape(transitions, "transitions", {extent(start, 0), extent(start, 0)}, "(K, K)");
    require_shape(emissions, "emissions", {extent(start, 0), extent(start, 0)}, "(K, K)");
    require(lag <= 1000, "lag must be at most 1000");
    return {{values_of(start), values_of(transitions), values_of(emissions), exponent}, lag};
}

bool observe(stream::CausalSmoother& smoother, const DoubleArray& probabilities) {
    return smoother.observe(vector_of(probabilities, "probabilities", smoother.n_classes(), "(K,)"));
}

DoubleArray filtered(const stream::CausalSmoother& smoother) {
    require(smoother.n_held() >= 1, "no window was observed");
    auto posterior = new_array<double>({smoother.n_classes()});
    smoother.filtered(posterior.mutable_data());
    return posterior;
}

DoubleArray look_ahead(stream::CausalSmoother& smoother, std::size_t back) {
    require(back < smoother.n_held(), "so many windows are not held");
    auto posterior = new_array<double>({smoother.n_classes()});
    smoother.look_ahead(back, posterior.mutable_data());
    return posterior;
}

DoubleArray smoother_state(const stream::CausalSmoother& smoother) {
    const std::size_t size = smoother.n_classes();
    auto filters = new_array<double>({smoother.n_held(), size});
    for (std::size_t back = 0; back < smoother.n_held(); ++back) {
        std::copy_n(smoother.filter_row(back), size, filters.mutable_data() + back * size);
    }
    return filters;
}

void restore_smoother(stream::CausalSmoother& smoother, const DoubleArray& filters) {
    require_shape(filters, "filters", {kAny, smoother.n_classes()}, "(n <= lag + 1, K)");
    require(extent(filters, 0) <= smoother.lag() + 1, "filters must have shape (n <= lag + 1, K)");
    smoother.restore(filters.data(), extent(filters, 0));
}

// Factor, dimension and delay.
using EmbeddingTuple = std::array<std::size_t, 3>;

stream::WindowClassifier make_classifier(const py::object& engine, double rate_hz, std::size_t window_size,
                                         std::size_t patch_len, std::size_t patch_hop, bool uses_statistics,
                                         bool uses_movement, const std::optional<EmbeddingTuple>& embedding,
                                         const model::Familiarity* familiarity) {
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
    return {engine_of(engine), options, familiarity};
}

py::tuple classify(const stream::WindowClassifier& classifier, const FloatArray& window,
                   const FloatArray& times) {
    require_shape(window, "window", {classifier.options().window_size, 3}, "(window_size, 3)");
    require_shape(times, "times", {1, classifier.n_time_features()}, "(1, n_time_features)");
    DoubleArray probabilities(static_cast<py::ssize_t>(classifier.n_classes()));
    const float* samples = window.data();
    const float* features = times.data();
    double* values = probabilities.mutable_data();
    stream::StageNs stage_ns{};
    double distance = 0.0;
    {
        const py::gil_scoped_release released;
        stage_ns = classifier.classify(samples, features, workspace(), values, distance);
    }
    return py::make_tuple(probabilities, py::make_tuple(stage_ns[0], stage_ns[1], stage_ns[2]), distance);
}

}  // namespace

void bind_stream(py::module_& m) {
    m.attr("MOST_G") = stream::kMostG;
    m.attr("MOST_STAMP_NS") = stream::kMostNs;
    py::register_exception<stream::TooFastError>(m, "TooFastError", PyExc_RuntimeError);
    m.def("interpolate", &interpolate, py::arg("stamps_ns").noconvert(), py::arg("samples").noconvert(),
          py::arg("grid_ns").noconvert(), "Return samples on the lines between them, at moments in order.");
    new_class<stream::WindowBuffer>(m, "WindowBuffer", "Samples on a regular grid, cut into windows.")
        .def(py::init(&make_buffer), py::arg("rate_hz"), py::arg("window_size"), py::arg("hop_size"),
             py::arg("max_gap_s"))
        .def("feed", &feed, py::arg("samples").noconvert(), py::arg("stamps_ns").noconvert(),
             py::arg("first"), "Take samples until a window is complete; return the first not taken.")
        .def("feed_sample", &feed_sample, py::arg("x"), py::arg("y"), py::arg("z"), py::arg("stamp_ns"),
             py::arg("first"), "Do what feed() does, with one sample.")
        .def("finish", &stream::WindowBuffer::finish, "End the segment.")
        .def_property_readonly("ready", &stream::WindowBuffer::ready, "Whether a window is complete.")
        .def("window", &window_view, "Return the window (window_size, 3), valid until the next sample.")
        .def("place", &place_of, "Return start_ns, segment, number in the segment, restarts of the window.")
        .def("counts", &counts_of, "Return what was counted of the samples.")
        .def("state", &buffer_state, "Return numbers and points from which restore() goes on.")
        .def("restore", &restore_buffer, py::arg("numbers").noconvert(), py::arg("points").noconvert());
    new_class<stream::CausalSmoother>(m, "CausalSmoother", "A hidden Markov model, window by window.")
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
    new_class<stream::WindowClassifier>(m, "WindowClassifier",
                                        "From a window to the probabilities of its classes in one call.")
        .def(py::init(&make_classifier), py::arg("engine"), py::arg("rate_hz"), py::arg("window_size"),
             py::arg("patch_len"), py::arg("patch_hop"), py::arg("uses_statistics"), py::arg("uses_movement"),
             py::arg("embedding"), py::arg("familiarity") = nullptr, py::keep_alive<1, 2>(),
             py::keep_alive<1, 10>())
        .def("classify", &classify, py::arg("window").noconvert(), py::arg("times").noconvert(),
             "Return the probabilities (K,) of a window, the ns spent in the statistical features, in the "
             "topological ones, and in the rest, and its distance (NaN without a familiarity).");
}

}  // namespace patchtst_har::bindings
