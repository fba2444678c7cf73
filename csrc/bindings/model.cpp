#include <algorithm>

#include "bindings/bindings.hpp"

namespace patchtst_har::bindings {
namespace {

using InputShapes = std::array<std::vector<py::ssize_t>, model::kInputs>;
constexpr const char* kInputNames[model::kInputs] = {"patches", "times", "stats", "topo"};

model::Precision precision_of(const std::string& name) {
    if (name == "float32") return model::Precision::kFloat32;
    require(name == "bfloat16", "precision must be float32 or bfloat16");
    return model::Precision::kBfloat16;
}

std::array<std::size_t, model::kInputs> sizes_of(const InputShapes& shapes) {
    std::array<std::size_t, model::kInputs> sizes{};
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        sizes[i] = 1;
        for (const py::ssize_t length : shapes[i]) {
            require(length >= 0, "lengths must not be negative");
            const auto n = static_cast<std::size_t>(length);
            require(n <= model::kMostFloats && sizes[i] * n <= model::kMostFloats, "an input is too large");
            sizes[i] *= n;
        }
    }
    return sizes;
}

// The engine with what its inputs look like from outside, one window at a time.
struct BoundEngine : model::Engine {
    BoundEngine(const InputShapes& input_shapes, std::size_t n_block_windows, const std::string& precision)
        : Engine(sizes_of(input_shapes), n_block_windows, precision_of(precision)), shapes(input_shapes) {}

    // Its values, after a look at its shape; inputs that the engine does not have may have any.
    [[nodiscard]] const float* input_of(std::size_t i, const FloatArray& array, py::ssize_t n_windows) const {
        const auto& shape = shapes[i];
        const bool fits = array.ndim() == static_cast<py::ssize_t>(shape.size()) + 1 &&
                          array.shape(0) == n_windows &&
                          std::equal(shape.begin(), shape.end(), array.shape() + 1);
        if (input_size(i) == 0 || fits) return array.data();
        throw py::value_error(std::string(kInputNames[i]) + " has the wrong shape");
    }

    InputShapes shapes;
};

using InputHandles = std::array<py::handle, model::kInputs>;

void run_all(BoundEngine& engine, const InputHandles& given, py::handle target, float* embeddings) {
    FloatArray out = float_array(target);
    require_shape(out, "out", {kAny, engine.n_outputs()}, "(n, n_outputs)");
    const std::array<FloatArray, model::kInputs> arrays{float_array(given[0]), float_array(given[1]),
                                                        float_array(given[2]), float_array(given[3])};
    std::array<const float*, model::kInputs> inputs{};
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        inputs[i] = engine.input_of(i, arrays[i], out.shape(0));
    }
    float* outputs = out.mutable_data();
    const std::size_t n_windows = extent(out, 0);
    const py::gil_scoped_release released;
    engine.run(inputs, n_windows, outputs, embeddings);
}

void run(BoundEngine& engine, py::handle patches, py::handle times, py::handle stats, py::handle topo,
         py::handle target) {
    run_all(engine, {patches, times, stats, topo}, target, nullptr);
}

// Not an argument of run(): pybind11 allocates for more than six.
void embed(BoundEngine& engine, const std::tuple<py::object, py::object, py::object, py::object>& inputs,
           const py::object& target, const py::object& embeddings) {
    const auto& [patches, times, stats, topo] = inputs;
    FloatArray array = float_array(embeddings);
    require(engine.n_embedding() > 0, "the engine has no embedding");
    require_shape(array, "embeddings", {kAny, engine.n_embedding()}, "(n, n_embedding)");
    require_shape(float_array(target), "out", {extent(array, 0), engine.n_outputs()}, "(n, n_outputs)");
    run_all(engine, {patches, times, stats, topo}, target, array.mutable_data());
}

// Buffer, offset, outer and inner stride.
using PlaceTuple = std::array<std::size_t, 4>;

model::Place place(const PlaceTuple& values) {
    return {values[0], values[1], values[2], values[3]};
}

model::Activation activation_of(const std::string& name) {
    if (name == "none") return model::Activation::kNone;
    if (name == "relu") return model::Activation::kRelu;
    require(name == "gelu", "activation must be none, relu or gelu");
    return model::Activation::kGelu;
}

void add_linear(BoundEngine& engine, const FloatArray& weights, const FloatArray& bias,
                const PlaceTuple& source, const PlaceTuple& target, const std::array<std::size_t, 2>& rows,
                const std::array<std::size_t, 3>& segments, const std::string& activation, bool adds) {
    const auto [n_segments, length, stride] = segments;
    require_shape(weights, "weights", {kAny, kAny}, "(n_columns, n_values)");
    require(extent(weights, 1) == n_segments * length, "segments must hold n_values values");
    const std::size_t n_columns = extent(weights, 0);
    engine.add_linear(place(source), place(target), {rows[0], rows[1]}, {n_segments, length, stride},
                      n_columns, weights.data(), vector_of(bias, "bias", n_columns, "(n_columns,)"),
                      activation_of(activation), adds);
}

void add_standardise(BoundEngine& engine, const FloatArray& mean, const FloatArray& inverse_std, float limit,
                     const PlaceTuple& source, const PlaceTuple& target) {
    const float* means = vector_of(mean, "mean", kAny, "(width,)");
    const std::size_t width = extent(mean, 0);
    engine.add_standardise(place(source), place(target), width, means,
                           vector_of(inverse_std, "inverse_std", width, "(width,)"), limit);
}

void add_quantiles(BoundEngine& engine, const FloatArray& lower, const FloatArray& inverse_width, float limit,
                   const PlaceTuple& source, const PlaceTuple& target) {
    require_shape(lower, "lower", {kSome, kSome}, "(n_steps >= 1, width >= 1)");
    const std::size_t n_steps = extent(lower, 0);
    const std::size_t width = extent(lower, 1);
    require_shape(inverse_width, "inverse_width", {n_steps, width}, "(n_steps, width)");
    engine.add_quantiles(place(source), place(target), width, n_steps, lower.data(), inverse_width.data(),
                         limit);
}

void add_constant(BoundEngine& engine, const FloatArray& values, const PlaceTuple& target) {
    const float* all = vector_of(values, "values", kAny, "(width,)");
    engine.add_constant(place(target), extent(values, 0), all);
}

void add_normalise(BoundEngine& engine, const FloatArray& gain, const FloatArray& bias, float epsilon,
                   std::size_t n_rows, const PlaceTuple& source, const PlaceTuple& target) {
    const float* gains = vector_of(gain, "gain", kAny, "(width,)");
    const std::size_t width = extent(gain, 0);
    engine.add_normalise(place(source), place(target), n_rows, width, gains,
                         vector_of(bias, "bias", width, "(width,)"), epsilon);
}

void add_attention(BoundEngine& engine, const FloatArray& cos, const FloatArray& sin, std::size_t n_heads,
                   const PlaceTuple& qkv, const PlaceTuple& target) {
    require_shape(cos, "cos", {kAny, kAny}, "(n_tokens, head_dim / 2)");
    require_shape(sin, "sin", {extent(cos, 0), extent(cos, 1)}, "(n_tokens, head_dim / 2)");
    engine.add_attention(place(qkv), place(target), extent(cos, 0), n_heads, 2 * extent(cos, 1), cos.data(),
                         sin.data());
}

model::Pooling pooling_of(const std::string& name) {
    if (name == "mean") return model::Pooling::kMean;
    if (name == "maximum") return model::Pooling::kMaximum;
    require(name == "attention", "kind must be mean, maximum or attention");
    return model::Pooling::kAttention;
}

void add_pool(BoundEngine& engine, const FloatArray& query, const std::string& kind, std::size_t n_rows,
              const PlaceTuple& source, const PlaceTuple& target) {
    const float* values = vector_of(query, "query", kAny, "(width,)");
    engine.add_pool(place(source), place(target), n_rows, extent(query, 0), pooling_of(kind), values);
}

void softmax_rows(py::handle argument) {
    FloatArray rows = float_array(argument);
    require_shape(rows, "rows", {kAny, kSome}, "(n, K >= 1)");
    model::softmax(rows.mutable_data(), extent(rows, 0), extent(rows, 1));
}

DoubleArray probabilities_of(const FloatArray& logits) {
    require_shape(logits, "logits", {kAny, kSome}, "(n, K >= 1)");
    auto result = new_array<double>({extent(logits, 0), extent(logits, 1)});
    model::probabilities(logits.data(), extent(logits, 0), extent(logits, 1), result.mutable_data());
    return result;
}

model::Familiarity make_familiarity(const FloatArray& origin, const FloatArray& projection,
                                    const FloatArray& centres) {
    require_shape(origin, "origin", {kSome}, "(n_embedding >= 1,)");
    const std::size_t n_embedding = extent(origin, 0);
    require_shape(projection, "projection", {kSome, n_embedding}, "(n_components >= 1, n_embedding)");
    const std::size_t n_components = extent(projection, 0);
    require_shape(centres, "centres", {kSome, n_components}, "(n_centres >= 1, n_components)");
    return {n_embedding, n_components, extent(centres, 0), origin.data(), projection.data(), centres.data()};
}

DoubleArray distances(const model::Familiarity& familiarity, const FloatArray& embeddings) {
    const std::size_t width = familiarity.n_embedding();
    require_shape(embeddings, "embeddings", {kAny, width}, "(n, n_embedding)");
    auto result = new_array<double>({extent(embeddings, 0)});
    const float* row = embeddings.data();
    double* found = result.mutable_data();
    const std::size_t n = extent(embeddings, 0);
    std::vector<float> components(familiarity.n_components());
    const py::gil_scoped_release released;
    for (std::size_t i = 0; i < n; ++i, row += width) found[i] = familiarity.distance(row, components.data());
    return result;
}

FloatArray apply(void (*function)(float*, std::size_t), const FloatArray& values) {
    const float* given = vector_of(values, "values", kAny, "(n,)");
    const std::size_t n = extent(values, 0);
    model::AlignedFloats padded(n + model::kAlignment, 0.0F);
    std::copy_n(given, n, padded.data());
    function(padded.data(), (n + model::kAlignment - 1) / model::kAlignment * model::kAlignment);
    FloatArray result(values.size());
    std::copy_n(padded.data(), n, result.mutable_data());
    return result;
}

void bind_engine(py::module_& m) {
    new_class<BoundEngine>(m, "Engine", "A forward pass as a sequence of steps on packed weights.")
        .def(py::init<const InputShapes&, std::size_t, const std::string&>(), py::arg("input_shapes"),
             py::arg("n_block_windows"), py::arg("precision") = "float32")
        .def("add_buffer", &BoundEngine::add_buffer, py::arg("n_floats"))
        .def("add_linear", &add_linear, py::arg("weights").noconvert(), py::arg("bias").noconvert(),
             py::arg("source"), py::arg("target"), py::arg("rows"), py::arg("segments"),
             py::arg("activation"), py::arg("adds"))
        .def("add_standardise", &add_standardise, py::arg("mean").noconvert(),
             py::arg("inverse_std").noconvert(), py::arg("limit"), py::arg("source"), py::arg("target"))
        .def("add_quantiles", &add_quantiles, py::arg("lower").noconvert(),
             py::arg("inverse_width").noconvert(), py::arg("limit"), py::arg("source"), py::arg("target"))
        .def("add_constant", &add_constant, py::arg("values").noconvert(), py::arg("target"))
        .def("add_normalise", &add_normalise, py::arg("gain").noconvert(), py::arg("bias").noconvert(),
             py::arg("epsilon"), py::arg("n_rows"), py::arg("source"), py::arg("target"))
        .def("add_attention", &add_attention, py::arg("cos").noconvert(), py::arg("sin").noconvert(),
             py::arg("n_heads"), py::arg("qkv"), py::arg("target"))
        .def("add_pool", &add_pool, py::arg("query").noconvert(), py::arg("kind"), py::arg("n_rows"),
             py::arg("source"), py::arg("target"))
        .def("run", &run, py::arg("patches"), py::arg("times"), py::arg("stats"), py::arg("topo"),
             py::arg("out"), "Write the outputs of n windows to out (n, n_outputs).")
        .def("embed", &embed, py::arg("inputs"), py::arg("out"), py::arg("embeddings"),
             "Do what run() does, and write the embeddings of the windows to embeddings (n, n_embedding).")
        .def(
            "set_outputs",
            [](BoundEngine& engine, const PlaceTuple& source, std::size_t width) {
                engine.set_outputs(place(source), width);
            },
            py::arg("source"), py::arg("width"))
        .def(
            "set_embedding",
            [](BoundEngine& engine, const PlaceTuple& source, std::size_t width) {
                engine.set_embedding(place(source), width);
            },
            py::arg("source"), py::arg("width"))
        .def_property_readonly("n_workspaces_made", &BoundEngine::n_workspaces_made,
                               "How often run() had to allocate.");
}

}  // namespace

model::Engine& engine_of(const py::object& engine) {
    return engine.cast<BoundEngine&>();
}

void bind_model(py::module_& m) {
    bind_engine(m);
    new_class<model::Familiarity>(m, "Familiarity", "Distances of embeddings from those of training windows.")
        .def(py::init(&make_familiarity), py::arg("origin").noconvert(), py::arg("projection").noconvert(),
             py::arg("centres").noconvert())
        .def("distances", &distances, py::arg("embeddings").noconvert(),
             "Return the distance of every embedding (n, n_embedding) from the nearest centre.");
    m.def("softmax", &softmax_rows, py::arg("rows"), "Replace rows (n, K) by their softmax.");
    m.def("probabilities", &probabilities_of, py::arg("logits").noconvert(),
          "Return the softmax of logits (n, K) in float64.");
    m.def(
        "exponential",
        [](const FloatArray& values) { return apply(model::active_kernels().exponential, values); },
        py::arg("values").noconvert(), "Return exp(values), as the engine computes it.");
    m.def(
        "error_function",
        [](const FloatArray& values) { return apply(model::active_kernels().error_function, values); },
        py::arg("values").noconvert(), "Return erf(values / sqrt(2)), as the engine computes it.");
}

}  // namespace patchtst_har::bindings
