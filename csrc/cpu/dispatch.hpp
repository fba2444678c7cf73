// Which unit's kernels run: the one place where an instruction set turns into a table of functions.
#pragma once

#include "cpu/isa.hpp"

namespace patchtst_har::cpu {

// The table of the active instruction set. On other processors than x86 there is the baseline alone, and the
// other two are only names.
// NOLINTBEGIN(readability-redundant-parentheses): of an argument that takes a parameter's place
template <const auto& baseline, const auto& avx2, const auto& avx512>
const auto& active_table() {
#if defined(PATCHTST_HAR_X86)
    switch (active_isa()) {
        case Isa::kAvx512:
            return avx512;
        case Isa::kAvx2:
            return avx2;
        case Isa::kBaseline:
            break;
    }
#endif
    return baseline;
}
// NOLINTEND(readability-redundant-parentheses)

}  // namespace patchtst_har::cpu
