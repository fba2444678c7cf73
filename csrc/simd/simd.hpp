// The one layer between the kernels and the instruction sets: vectors.hpp and portable.hpp for all of them,
// and a header for each that knows instructions for some of it.
#pragma once

#if PATCHTST_HAR_VECTOR_BYTES == 64
#include "simd/avx512.hpp"
#elif PATCHTST_HAR_VECTOR_BYTES == 32
#include "simd/avx2.hpp"
#elif defined(__SSE2__)
#include "simd/sse2.hpp"
#else
#include "simd/portable.hpp"
#endif
