// The only file that knows Python: parses arguments under the GIL, releases it, calls a kernel.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "attention/attention.hpp"
#include "cpu/isa.hpp"
#include "model/engine.hpp"
#include "persistence/rips.hpp"
#include "statistics/statistics.hpp"
#include "stream/causal_smoother.hpp"
#include "stream/window_buffer.hpp"
#include "topology/topology.hpp"

namespace attention = patchtst_har::attention;
namespace cpu = patchtst_har::cpu;
namespace model = patchtst_har::model;
namespace persistence = patchtst_har::persistence;
namespace py = pybind11;
namespace statistics = patchtst_har::statistics;
namespace stream = patchtst_har::stream;
namespace topology = patchtst_har::topology;

namespace {

using FloatArray = py::array_t<float, py::array::c_style>;
using DoubleArray = py::array_t<double, py::array::c_style>;
using StridedFloatArray = py::array_t<float, 0>;

// Shapes and values are explained to the user in Python; these checks only keep the kernels inside their
// memory.
void require(bool condition, const char* message) {
    if (!condition) throw py::value_error(message);
}

std::size_t extent(const py::array& array, py::ssize_t axis) {
    return static_cast<std::size_t>(array.shape(axis));
}

// Memory for one window at a time, kept as long as its thread lives.
statistics::Workspace& workspace() {
    thread_local statistics::Workspace instance;
    return instance;
}

void require_rate(double rate_hz) {
    require(std::isfinite(rate_hz) && rate_hz > 0.0, "sr must be positive and finite");
}

// Each window is contiguous; windows may lie apart or overlap.
void statistical_features(const StridedFloatArray& windows, double rate_hz, FloatArray& out) {
    constexpr py::ssize_t kItem = sizeof(float);
    require(windows.ndim() == 3 && windows.shape(1) >= 1 && windows.shape(2) == 3,
            "windows must have shape (n, T >= 1, 3)");
    const std::size_t n_windows = extent(windows, 0);
    const std::size_t n_samples = extent(windows, 1);
    require(out.ndim() == 2 && extent(out, 0) == n_windows && extent(out, 1) == statistics::kFeatureCount,
            "out must have shape (n, 56)");
    require_rate(rate_hz);
    if (n_windows == 0) return;  // strides of an empty array mean nothing
    require(windows.strides(2) == kItem && (windows.shape(1) == 1 || windows.strides(1) == 3 * kItem) &&
                windows.strides(0) % kItem == 0,
            "windows must each be contiguous");
    const float* window = windows.data();
    const py::ssize_t step = windows.strides(0) / kItem;
    float* features = out.mutable_data();
    const py::gil_scoped_release released;
    statistics::Workspace& scratch = workspace();
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
        statistics::compute_features(samples, extent(window, 0), rate_hz, workspace(), features);
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
        statistics::compute_magnitude(samples, extent(window, 0), workspace(), values);
    }
    return result;
}

persistence::Workspace& cloud_workspace() {
    thread_local persistence::Workspace instance;
    return instance;
}

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
                                               cloud_workspace());
    }
    return arrays_of(diagrams);
}

py::tuple rips_of_points(const py::array& points, float max_edge) {
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
                                                  cloud_workspace());
    }
    return arrays_of(diagrams);
}

topology::Workspace& topology_workspace() {
    thread_local topology::Workspace instance;
    return instance;
}

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
    require(factor >= 1 && dimension >= 1 && delay >= 1, "factor, dimension and delay must be at least 1");
    const std::size_t n_windows = extent(windows, 0);
    const std::size_t n_samples = extent(windows, 1);
    const topology::Embedding embedding{factor, dimension, delay};
    require(topology::count_points(n_samples, embedding) <= persistence::kMostPoints, "too many points");
    const float* window = windows.data();
    float* features = out.mutable_data();
    topology::StageSeconds seconds;
    {
        const py::gil_scoped_release released;
        for (std::size_t i = 0; i < n_windows; ++i) {
            topology::compute_features(window, n_samples, embedding, workspace(), cloud_workspace(),
                                       topology_workspace(), features, seconds);
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
        topology::compute_simplified_features(window, n_samples, workspace(), topology_workspace(), features);
        window += 3 * n_samples;
        features += topology::kFeatureCount;
    }
}

std::size_t n_plans_made() {
    return workspace().n_plans_made();
}

// Tensors come as addresses of contiguous float32 memory: this file knows no torch, and numpy would refuse
// tensors that require gradients. The caller in Python has checked sizes.
using Address = std::uintptr_t;
using Extents = std::array<std::size_t, 4>;

const float* floats(Address address) {
    return reinterpret_cast<const float*>(address);  // NOLINT(performance-no-int-to-ptr)
}

float* mutable_floats(Address address) {
    return reinterpret_cast<float*>(address);  // NOLINT(performance-no-int-to-ptr)
}

attention::Inputs attention_inputs(const Extents& shape, const std::array<Address, 3>& qkv_cos_sin,
                                   std::uint64_t seed, std::uint32_t threshold) {
    const auto [n_batch, n_tokens, n_heads, head_dim] = shape;
    require(head_dim % 2 == 0, "head_dim must be even");
    require(threshold < 65536, "threshold must be below 65536");
    const auto [qkv, cos, sin] = qkv_cos_sin;
    return {{n_batch, n_tokens, n_heads, head_dim}, {seed, threshold}, floats(qkv), floats(cos), floats(sin)};
}

void attention_forward(const Extents& shape, const std::array<Address, 3>& qkv_cos_sin, std::uint64_t seed,
                       std::uint32_t threshold, Address out, Address lse, std::size_t n_threads) {
    const attention::Inputs inputs = attention_inputs(shape, qkv_cos_sin, seed, threshold);
    const py::gil_scoped_release released;
    attention::forward(inputs, {mutable_floats(out), mutable_floats(lse)}, n_threads);
}

void attention_backward(const Extents& shape, const std::array<Address, 3>& qkv_cos_sin, std::uint64_t seed,
                        std::uint32_t threshold, const std::array<Address, 3>& grad_out_lse, Address grad_qkv,
                        std::size_t n_threads) {
    const attention::Inputs inputs = attention_inputs(shape, qkv_cos_sin, seed, threshold);
    const auto [grad_out, out, lse] = grad_out_lse;
    const py::gil_scoped_release released;
    attention::backward(inputs, {floats(grad_out), floats(out), floats(lse), mutable_floats(grad_qkv)},
                        n_threads);
}

FloatArray attention_dropout_factors(std::size_t n_heads, std::size_t n_tokens, std::uint64_t seed,
                                     std::uint32_t threshold) {
    require(threshold < 65536, "threshold must be below 65536");
    FloatArray factors({n_heads, n_tokens, n_tokens});
    float* to = factors.mutable_data();
    const py::gil_scoped_release released;
    attention::dropout_factors({1, n_tokens, n_heads, 2}, {seed, threshold}, to);
    return factors;
}

void drop_values(Address values, std::size_t n, std::uint64_t seed, std::uint32_t threshold, Address result,
                 std::size_t n_threads) {
    require(threshold < 65536, "threshold must be below 65536");
    const py::gil_scoped_release released;
    attention::drop_values(floats(values), n, {seed, threshold}, mutable_floats(result), n_threads);
}

using InputShapes = std::array<std::vector<py::ssize_t>, model::kInputs>;

// The engine with what its inputs look like from outside, one window at a time.
struct BoundEngine {
    BoundEngine(const InputShapes& input_shapes, std::size_t n_block_windows)
        : shapes(input_shapes), engine(sizes_of(input_shapes), n_block_windows) {}

    static std::array<std::size_t, model::kInputs> sizes_of(const InputShapes& shapes) {
        std::array<std::size_t, model::kInputs> sizes{};
        for (std::size_t i = 0; i < sizes.size(); ++i) {
            sizes[i] = 1;
            for (const py::ssize_t length : shapes[i]) {
                require(length >= 0, "lengths must not be negative");
                sizes[i] *= static_cast<std::size_t>(length);
            }
        }
        return sizes;
    }

    [[nodiscard]] bool fits(std::size_t input, const FloatArray& array, py::ssize_t n_windows) const {
        if (engine.input_size(input) == 0) return true;
        const auto& shape = shapes[input];
        return array.ndim() == static_cast<py::ssize_t>(shape.size()) + 1 && array.shape(0) == n_windows &&
               std::equal(shape.begin(), shape.end(), array.shape() + 1);
    }

    void run(const FloatArray& patches, const FloatArray& times, const FloatArray& stats,
             const FloatArray& topo, FloatArray& out) {
        require(out.ndim() == 2 && extent(out, 1) == engine.n_outputs(),
                "out must have shape (n, n_outputs)");
        const std::array<const FloatArray*, model::kInputs> arrays{&patches, &times, &stats, &topo};
        std::array<const float*, model::kInputs> inputs{};
        for (std::size_t i = 0; i < inputs.size(); ++i) {
            require(fits(i, *arrays[i], out.shape(0)), "an input has the wrong shape");
            inputs[i] = arrays[i]->data();
        }
        float* outputs = out.mutable_data();
        const std::size_t n_windows = extent(out, 0);
        const py::gil_scoped_release released;
        engine.run(inputs, n_windows, outputs);
    }

    InputShapes shapes;
    model::Engine engine;
};

// Buffer, offset, outer and inner stride.
using PlaceTuple = std::array<std::size_t, 4>;

model::Place place(const PlaceTuple& values) {
    return {values[0], values[1], values[2], values[3]};
}

const float* vector_of(const FloatArray& values, std::size_t n, const char* message) {
    require(values.ndim() == 1 && extent(values, 0) == n, message);
    return values.data();
}

model::Activation activation_of(const std::string& name) {
    if (name == "none") return model::Activation::kNone;
    if (name == "relu") return model::Activation::kRelu;
    require(name == "gelu", "activation must be none, relu or gelu");
    return model::Activation::kGelu;
}

void add_linear(BoundEngine& bound, const FloatArray& weights, const FloatArray& bias,
                const PlaceTuple& source, const PlaceTuple& target, const std::array<std::size_t, 2>& rows,
                const std::array<std::size_t, 3>& segments, const std::string& activation, bool adds) {
    require(weights.ndim() == 2, "weights must have shape (n_columns, n_values)");
    require(extent(weights, 1) == segments[0] * segments[1], "segments must hold n_values values");
    const std::size_t n_columns = extent(weights, 0);
    bound.engine.add_linear(place(source), place(target), {rows[0], rows[1]},
                            {segments[0], segments[1], segments[2]}, n_columns, weights.data(),
                            vector_of(bias, n_columns, "bias must have shape (n_columns,)"),
                            activation_of(activation), adds);
}

void add_standardise(BoundEngine& bound, const FloatArray& mean, const FloatArray& inverse_std, float limit,
                     const PlaceTuple& source, const PlaceTuple& target) {
    const auto width = static_cast<std::size_t>(mean.size());
    bound.engine.add_standardise(place(source), place(target), width,
                                 vector_of(mean, width, "mean must be a vector"),
                                 vector_of(inverse_std, width, "inverse_std must be as long as mean"), limit);
}

void add_constant(BoundEngine& bound, const FloatArray& values, const PlaceTuple& target) {
    const auto width = static_cast<std::size_t>(values.size());
    bound.engine.add_constant(place(target), width, vector_of(values, width, "values must be a vector"));
}

void add_normalise(BoundEngine& bound, const FloatArray& gain, const FloatArray& bias, float epsilon,
                   std::size_t n_rows, const PlaceTuple& source, const PlaceTuple& target) {
    const auto width = static_cast<std::size_t>(gain.size());
    bound.engine.add_normalise(place(source), place(target), n_rows, width,
                               vector_of(gain, width, "gain must be a vector"),
                               vector_of(bias, width, "bias must be as long as gain"), epsilon);
}

void add_attention(BoundEngine& bound, const FloatArray& cos, const FloatArray& sin, std::size_t n_heads,
                   const PlaceTuple& qkv, const PlaceTuple& target) {
    require(cos.ndim() == 2 && sin.ndim() == 2 && extent(cos, 0) == extent(sin, 0) &&
                extent(cos, 1) == extent(sin, 1),
            "cos and sin must have shape (n_tokens, head_dim / 2)");
    bound.engine.add_attention(place(qkv), place(target), extent(cos, 0), n_heads, 2 * extent(cos, 1),
                               cos.data(), sin.data());
}

void add_pool(BoundEngine& bound, const FloatArray& query, bool weighted, std::size_t n_rows,
              const PlaceTuple& source, const PlaceTuple& target) {
    const auto width = static_cast<std::size_t>(query.size());
    const float* values = vector_of(query, width, "query must be a vector");
    bound.engine.add_pool(place(source), place(target), n_rows, width, weighted ? values : nullptr);
}

void softmax_rows(FloatArray& rows) {
    require(rows.ndim() == 2 && rows.shape(1) >= 1, "rows must have shape (n, K >= 1)");
    model::softmax(rows.mutable_data(), extent(rows, 0), extent(rows, 1));
}

FloatArray apply(void (*function)(float*, std::size_t), const FloatArray& values) {
    require(values.ndim() == 1, "values must be a vector");
    const auto n = static_cast<std::size_t>(values.size());
    const model::AlignedFloats padded(n + model::kAlignment);
    std::copy_n(values.data(), n, padded.data());
    function(padded.data(), (n + model::kAlignment - 1) / model::kAlignment * model::kAlignment);
    FloatArray result(values.size());
    std::copy_n(padded.data(), n, result.mutable_data());
    return result;
}

void bind_engine(py::module_& m) {
    py::class_<BoundEngine>(m, "Engine", py::metaclass(reinterpret_cast<PyObject*>(&PyType_Type)),
                            "A forward pass as a sequence of steps on packed weights.")
        .def(py::init<const InputShapes&, std::size_t>(), py::arg("input_shapes"), py::arg("n_block_windows"))
        .def(
            "add_buffer",
            [](BoundEngine& bound, std::size_t n_floats) { return bound.engine.add_buffer(n_floats); },
            py::arg("n_floats"))
        .def("add_linear", &add_linear, py::arg("weights").noconvert(), py::arg("bias").noconvert(),
             py::arg("source"), py::arg("target"), py::arg("rows"), py::arg("segments"),
             py::arg("activation"), py::arg("adds"))
        .def("add_standardise", &add_standardise, py::arg("mean").noconvert(),
             py::arg("inverse_std").noconvert(), py::arg("limit"), py::arg("source"), py::arg("target"))
        .def("add_constant", &add_constant, py::arg("values").noconvert(), py::arg("target"))
        .def("add_normalise", &add_normalise, py::arg("gain").noconvert(), py::arg("bias").noconvert(),
             py::arg("epsilon"), py::arg("n_rows"), py::arg("source"), py::arg("target"))
        .def("add_attention", &add_attention, py::arg("cos").noconvert(), py::arg("sin").noconvert(),
             py::arg("n_heads"), py::arg("qkv"), py::arg("target"))
        .def("add_pool", &add_pool, py::arg("query").noconvert(), py::arg("weighted"), py::arg("n_rows"),
             py::arg("source"), py::arg("target"))
        .def("run", &BoundEngine::run, py::arg("patches").noconvert(), py::arg("times").noconvert(),
             py::arg("stats").noconvert(), py::arg("topo").noconvert(), py::arg("out").noconvert(),
             "Write the outputs of n windows to out (n, n_outputs).")
        .def(
            "set_outputs",
            [](BoundEngine& bound, std::size_t buffer, std::size_t n_outputs) {
                bound.engine.set_outputs(buffer, n_outputs);
            },
            py::arg("buffer"), py::arg("n_outputs"))
        .def_property_readonly(
            "n_workspaces_made", [](const BoundEngine& bound) { return bound.engine.n_workspaces_made(); },
            "How often run() had to allocate.");
    m.def("softmax", &softmax_rows, py::arg("rows").noconvert(), "Replace rows (n, K) by their softmax.");
    m.def(
        "exponential",
        [](const FloatArray& values) { return apply(model::active_kernels().exponential, values); },
        py::arg("values").noconvert(), "Return exp(values), as the engine computes it.");
    m.def(
        "error_function",
        [](const FloatArray& values) { return apply(model::active_kernels().error_function, values); },
        py::arg("values").noconvert(), "Return erf(values / sqrt(2)), as the engine computes it.");
}

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
        &state.n_unstamped};
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

stream::WindowBuffer make_buffer(double rate_hz, std::size_t window_size, std::size_t hop_size,
                                 double max_gap_s) {
    require_rate(rate_hz);
    require(window_size >= 1 && hop_size >= 1 && hop_size <= window_size,
            "1 <= hop_size <= window_size must hold");
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

void bind_stream(py::module_& m) {
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

py::dict detected_features() {
    py::dict result;
    for (const auto& feature : cpu::features()) result[feature.name] = feature.present;
    return result;
}

}  // namespace

PYBIND11_MODULE(_core, m) {
    m.doc() = "Compiled kernels of patchtst_har.";
    m.attr("__version__") = PATCHTST_HAR_VERSION;
    try {
        cpu::select_isa_from_environment();
    } catch (const std::invalid_argument& error) {
        throw py::import_error(error.what());
    }
    py::register_exception<persistence::MemoryBoundError>(m, "MemoryBoundError", PyExc_MemoryError);
    m.def("available_isas", &cpu::available_isas,
          "Return the instruction sets that run here, fastest first.");
    m.def("active_isa", [] { return cpu::name_of(cpu::active_isa()); }, "Return the instruction set in use.");
    m.def("select_isa", &cpu::select_isa, py::arg("name"), "Use another instruction set in this process.");
    m.def("cpu_features", &detected_features, "Return what the processor and the operating system support.");
    m.def("n_plans_made", &n_plans_made, "Return how often this thread's features had to allocate.");
    m.def("attention_forward", &attention_forward, py::arg("shape"), py::arg("qkv_cos_sin"), py::arg("seed"),
          py::arg("threshold"), py::arg("out"), py::arg("lse"), py::arg("n_threads"),
          "Write rotary attention of float32 memory at these addresses; shape is (B, N, H, d).");
    m.def("attention_backward", &attention_backward, py::arg("shape"), py::arg("qkv_cos_sin"),
          py::arg("seed"), py::arg("threshold"), py::arg("grad_out_lse"), py::arg("grad_qkv"),
          py::arg("n_threads"), "Write the gradient of rotary attention for the queries, keys and values.");
    m.def("attention_dropout_factors", &attention_dropout_factors, py::arg("n_heads"), py::arg("n_tokens"),
          py::arg("seed"), py::arg("threshold"),
          "Return the factors (head, key, query) that dropout puts on the attention weights.");
    m.def("drop_values", &drop_values, py::arg("values"), py::arg("n"), py::arg("seed"), py::arg("threshold"),
          py::arg("result"), py::arg("n_threads"),
          "Write dropout of n float32 values at an address to another.");
    m.def("statistical_features", &statistical_features, py::arg("windows").noconvert(), py::arg("sr"),
          py::arg("out").noconvert(),
          "Write the 56 statistical features of float32 windows (n, T, 3) to out (n, 56).");
    m.def("window_statistics", &window_statistics, py::arg("window").noconvert(), py::arg("sr"),
          "Return the 56 statistical features of a float32 window (T, 3).");
    m.def("topological_features", &topological_features, py::arg("windows").noconvert(), py::arg("factor"),
          py::arg("dimension"), py::arg("delay"), py::arg("out").noconvert(),
          "Write the 24 topological features of float32 windows (n, T, 3) to out (n, 24); return the seconds "
          "spent in magnitude, decimation, embedding, persistence and summary.");
    m.def("simplified_topological_features", &simplified_topological_features, py::arg("windows").noconvert(),
          py::arg("out").noconvert(),
          "Write the summaries of the sublevel sets of the magnitude of float32 windows (n, T, 3) to out "
          "(n, 24).");
    m.def("magnitude", &magnitude, py::arg("window").noconvert(),
          "Return the magnitude (T,) of a float32 window (T, 3) after repair of its non-finite samples.");
    m.attr("MOST_POINTS") = persistence::kMostPoints;
    const char* rips_doc = "Return the finite bars (k, 2) of H0 and H1, sorted.";
    m.def("rips_persistence", &rips_of_points, py::arg("points"), py::arg("max_edge"), rips_doc);
    m.def("rips_persistence_of_distances", &rips_of_distances, py::arg("distances").noconvert(),
          py::arg("max_edge"), rips_doc);
    bind_engine(m);
    bind_stream(m);
}
