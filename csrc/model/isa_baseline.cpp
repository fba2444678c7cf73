#define PATCHTST_HAR_VECTOR_BYTES 16
#define PATCHTST_HAR_KERNELS kBaselineKernels
#include "model/kernel/forward.hpp"
