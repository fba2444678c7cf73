// Compiled once for each instruction set, with PATCHTST_HAR_VECTOR_BYTES and PATCHTST_HAR_KERNELS, the name
// of its table. Nothing else here has external linkage: the linker could otherwise pick one unit's copy
// for all of them.
#include "persistence/kernel/distances.hpp"
#include "persistence/kernel/growth.hpp"

namespace patchtst_har::persistence {

extern const Kernels PATCHTST_HAR_KERNELS = {&measure, &grow};

}  // namespace patchtst_har::persistence
