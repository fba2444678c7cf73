#define PATCHTST_HAR_VECTOR_BYTES 16
#define PATCHTST_HAR_KERNELS kBaselineKernels
#include "attention/kernel/attention.hpp"
