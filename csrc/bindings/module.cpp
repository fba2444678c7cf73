#include "bindings/bindings.hpp"
#include "cpu/isa.hpp"

namespace patchtst_har::bindings {

stream::Workspace& workspace() {
    thread_local stream::Workspace instance;
    return instance;
}

namespace {

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
    m.def("available_isas", &cpu::available_isas,
          "Return the instruction sets that run here, fastest first.");
    m.def("active_isa", [] { return cpu::name_of(cpu::active_isa()); }, "Return the instruction set in use.");
    m.def("select_isa", &cpu::select_isa, py::arg("name"), "Use another instruction set in this process.");
    m.def("cpu_features", &detected_features, "Return what the processor and the operating system support.");
    bind_attention(m);
    bind_model(m);
    bind_persistence(m);
    bind_statistics(m);
    bind_stream(m);
    bind_topology(m);
}

}  // namespace patchtst_har::bindings
