#include "model/kernels.hpp"

#include <stdexcept>
#include <string>

#include "cpu/dispatch.hpp"

namespace patchtst_har::model {

const Kernels& active_kernels() {
    return cpu::active_table<kBaselineKernels, kAvx2Kernels, kAvx512Kernels>();
}

const Kernels& kernels_for(Precision precision) {
    if (precision == Precision::kFloat32) return active_kernels();
    const bool present = cpu::has_feature("avx512_bf16");
    const cpu::Isa active = cpu::active_isa();
#if defined(PATCHTST_HAR_X86)
    if (present && active == cpu::Isa::kAvx512) return kAvx512Bf16Kernels;
#endif
    throw std::invalid_argument(
        std::string("bfloat16 needs the instruction set avx512 and a processor with avx512_bf16; ") +
        (present ? std::string("the instruction set in use is ") + cpu::name_of(active)
                 : std::string("this processor has none")));
}

}  // namespace patchtst_har::model
