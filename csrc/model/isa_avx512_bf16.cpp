#define PATCHTST_HAR_VECTOR_BYTES 64
#define PATCHTST_HAR_BFLOAT16
#define PATCHTST_HAR_KERNELS kAvx512Bf16Kernels
#include "model/kernel/forward.hpp"
