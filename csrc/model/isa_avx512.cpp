#define PATCHTST_HAR_VECTOR_BYTES 64
#define PATCHTST_HAR_KERNELS kAvx512Kernels
#include "model/kernel/forward.hpp"
