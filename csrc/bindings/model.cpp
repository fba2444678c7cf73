#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "bindings/bindings.hpp"
#include "model/engine.hpp"

namespace patchtst_har::bindings {
namespace {

using InputShapes = std::array<std::vector<py::ssize_t>, model::kInputs>;

// The engine with what its inputs look like from outside, one window at a time.
struct BoundEngine {
    BoundEngine(const InputShapes& input_shapes, std::size_t n_block_windows, const std::string& precision)
        : shapes(input_shapes), engine(sizes_of(input_shapes), n_block_windows, precision_of(precision)) {}

    static model::Precision precision_of(const std::string& name) {
        if (name == "float32") return model::Precision::kFloat32;
        require(name == "bfloat16", "precision must be float32 or bfloat16");
        return model::Precision::kBfloat16;
    }

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

    void run(py::handle patches, py::handle times, py::handle stats, py::handle topo, py::handle target) {
        FloatArray out = float_array(target);
        require(out.ndim() == 2 && extent(out, 1) == engine.n_outputs(),
                "out must have shape (n, n_outputs)");
        const std::array<FloatArray, model::kInputs> arrays{float_array(patches), float_array(times),
                                                            float_array(stats), float_array(topo)};
        std::array<const float*, model::kInputs> inputs{};
        for (std::size_t i = 0; i < inputs.size(); ++i) {
            require(fits(i, arrays[i], out.shape(0)), "an input has the wrong shape");
            inputs[i] = arrays[i].data();
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

void softmax_rows(py::handle argument) {
    FloatArray rows = float_array(argument);
    require(rows.ndim() == 2 && rows.shape(1) >= 1, "rows must have shape (n, K >= 1)");
    model::softmax(rows.mutable_data(), extent(rows, 0), extent(rows, 1));
}

py::array_t<double> probabilities_of(const FloatArray& logits) {
    require(logits.ndim() == 2 && logits.shape(1) >= 1, "logits must have shape (n, K >= 1)");
    py::array_t<double> result({logits.shape(0), logits.shape(1)});
    model::probabilities(logits.data(), extent(logits, 0), extent(logits, 1), result.mutable_data());
    return result;
}

FloatArray apply(void (*function)(float*, std::size_t), const FloatArray& values) {
    require(values.ndim() == 1, "values must be a vector");
    const auto n = static_cast<std::size_t>(values.size());
    model::AlignedFloats padded(n + model::kAlignment, 0.0F);
    std::copy_n(values.data(), n, padded.data());
    function(padded.data(), (n + model::kAlignment - 1) / model::kAlignment * model::kAlignment);
    FloatArray result(values.size());
    std::copy_n(padded.data(), n, result.mutable_data());
    return result;
}

}  // namespace

model::Engine& engine_of(const py::object& engine) {
    return engine.cast<BoundEngine&>().engine;
}

void bind_model(py::module_& m) {
    py::class_<BoundEngine>(m, "Engine", py::metaclass(reinterpret_cast<PyObject*>(&PyType_Type)),
                            "A forward pass as a sequence of steps on packed weights.")
        .def(py::init<const InputShapes&, std::size_t, const std::string&>(), py::arg("input_shapes"),
             py::arg("n_block_windows"), py::arg("precision") = "float32")
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
        .def("run", &BoundEngine::run, py::arg("patches"), py::arg("times"), py::arg("stats"),
             py::arg("topo"), py::arg("out"), "Write the outputs of n windows to out (n, n_outputs).")
        .def(
            "set_outputs",
            [](BoundEngine& bound, std::size_t buffer, std::size_t n_outputs) {
                bound.engine.set_outputs(buffer, n_outputs);
            },
            py::arg("buffer"), py::arg("n_outputs"))
        .def_property_readonly(
            "n_workspaces_made", [](const BoundEngine& bound) { return bound.engine.n_workspaces_made(); },
            "How often run() had to allocate.");
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
