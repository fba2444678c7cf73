// Instruction sets that kernels are compiled for, and which of them this process uses.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace patchtst_har::cpu {

enum class Isa : std::uint8_t { kBaseline, kAvx2, kAvx512 };

struct Feature {
    const char* name;
    bool present;  // in the processor, and its registers are saved by the operating system
};

// What decides which instruction sets are available, and what only some kernels use. Detected once.
const std::vector<Feature>& features();

// Whether the feature of that name is present.
bool has_feature(std::string_view name);

// Names of the instruction sets that this machine runs, the fastest first.
const std::vector<std::string>& available_isas();

const char* name_of(Isa isa);

// The one that PATCHTST_HAR_ISA names, by default the fastest; select_isa() changes it for the process.
Isa active_isa();

// Both throw std::invalid_argument, naming the choices, unless the name is one of available_isas().
void select_isa(const std::string& name);
void select_isa_from_environment();

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
