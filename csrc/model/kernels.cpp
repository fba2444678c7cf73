#include "model/kernels.hpp"

#include "cpu/isa.hpp"

namespace patchtst_har::model {

const Kernels& active_kernels() {
#if defined(PATCHTST_HAR_X86)
    switch (cpu::active_isa()) {
        case cpu::Isa::kAvx512:
            return kAvx512Kernels;
        case cpu::Isa::kAvx2:
            return kAvx2Kernels;
        case cpu::Isa::kBaseline:
            break;
    }
#endif
    return kBaselineKernels;
}

}  // namespace patchtst_har::model
