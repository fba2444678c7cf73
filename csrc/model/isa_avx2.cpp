#define PATCHTST_HAR_VECTOR_BYTES 32
#define PATCHTST_HAR_KERNELS kAvx2Kernels
#include "model/kernel/forward.hpp"
