// The steps of a forward pass: compiled once for each instruction set, with PATCHTST_HAR_VECTOR_BYTES,
// PATCHTST_HAR_KERNELS, the name of its table, and PATCHTST_HAR_BFLOAT16 where linear steps are to have it.
// Nothing else here has external linkage: the linker could otherwise pick one unit's copy for all of them.
#if defined(PATCHTST_HAR_BFLOAT16)
#include "model/kernel/linear_bfloat16.hpp"
#else
#include "model/kernel/linear.hpp"
#endif
#include "model/kernel/rows.hpp"

namespace patchtst_har::model {
namespace {

void exponentials(float* values, std::size_t n) {
    for (std::size_t i = 0; i < n; i += kLanes) store(values + i, exponential(load(values + i)));
}

void error_functions(float* values, std::size_t n) {
    for (std::size_t i = 0; i < n; i += kLanes) store(values + i, error_function(load(values + i)));
}

}  // namespace

extern const Kernels PATCHTST_HAR_KERNELS = {
    kPairs,    kLanes,     kPanelVectors, kTileRows, &linear,       &standardise,    &quantiles,
    &constant, &normalise, &attention,    &pool,     &exponentials, &error_functions};

}  // namespace patchtst_har::model
