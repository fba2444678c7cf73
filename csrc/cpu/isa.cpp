#include "cpu/isa.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>

#if defined(PATCHTST_HAR_X86)
#include <cpuid.h>
#endif

namespace patchtst_har::cpu {
namespace {

constexpr const char* kVariable = "PATCHTST_HAR_ISA";

// In order of priority, with the names of the features that a set needs.
struct Known {
    Isa isa;
    const char* name;
    std::array<std::string_view, 6> needs;
};
constexpr Known kKnown[] = {
    {Isa::kAvx512, "avx512", {"avx2", "fma", "avx512f", "avx512vl", "avx512dq", "avx512bw"}},
    {Isa::kAvx2, "avx2", {"avx2", "fma"}},
    {Isa::kBaseline, "baseline", {}},
};

#if defined(PATCHTST_HAR_X86)
// The register states that the operating system saves when it switches threads.
std::uint64_t saved_states() {
    std::uint32_t low = 0;
    std::uint32_t high = 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    constexpr std::uint64_t kHighPart = 0x100000000;
    return high * kHighPart + low;
}

std::vector<Feature> detect() {
    constexpr std::uint64_t kAvxStates = 0x6;      // XMM, YMM
    constexpr std::uint64_t kAvx512States = 0xE6;  // and masks, ZMM
    std::uint32_t eax = 0;
    std::uint32_t ebx = 0;
    std::uint32_t ecx = 0;
    std::uint32_t edx = 0;
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0) ecx = 0;
    const bool saves = (ecx & bit_OSXSAVE) != 0;
    const std::uint64_t states = saves ? saved_states() : 0;
    const bool ymm = (ecx & bit_AVX) != 0 && (states & kAvxStates) == kAvxStates;
    const bool fma = ymm && (ecx & bit_FMA) != 0;
    const bool zmm = ymm && (states & kAvx512States) == kAvx512States;
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) ebx = 0;
    std::uint32_t more = 0;
    const bool bf16 = __get_cpuid_count(7, 1, &more, &eax, &ecx, &edx) != 0 && (more & bit_AVX512BF16) != 0;
    const auto has = [ebx](std::uint32_t bit) { return (ebx & bit) != 0; };
    return {{"avx2", ymm && has(bit_AVX2)},
            {"fma", fma},
            {"avx512f", zmm && has(bit_AVX512F)},
            {"avx512vl", zmm && has(bit_AVX512VL)},
            {"avx512dq", zmm && has(bit_AVX512DQ)},
            {"avx512bw", zmm && has(bit_AVX512BW)},
            {"avx512_bf16", zmm && bf16}};
}
#else
std::vector<Feature> detect() {
    return {};
}
#endif

bool runs(const Known& known) {
    return std::all_of(known.needs.begin(), known.needs.end(),
                       [](std::string_view name) { return name.empty() || has_feature(name); });
}

std::string joined(const std::vector<std::string>& names) {
    std::string result;
    for (const auto& name : names) result += (result.empty() ? "" : ", ") + name;
    return result;
}

Isa fastest() {
    return std::find_if(std::begin(kKnown), std::end(kKnown), runs)->isa;  // the baseline needs nothing
}

std::atomic<Isa>& selected() {
    static std::atomic<Isa> isa{fastest()};
    return isa;
}

}  // namespace

const std::vector<Feature>& features() {
    static const std::vector<Feature> found = detect();
    return found;
}

bool has_feature(std::string_view name) {
    const auto& found = features();
    return std::any_of(found.begin(), found.end(),
                       [name](const Feature& feature) { return feature.name == name && feature.present; });
}

const std::vector<std::string>& available_isas() {
    static const std::vector<std::string> names = [] {
        std::vector<std::string> result;
        for (const auto& known : kKnown) {
            if (runs(known)) result.emplace_back(known.name);
        }
        return result;
    }();
    return names;
}

const char* name_of(Isa isa) {
    const auto* known = std::find_if(std::begin(kKnown), std::end(kKnown),
                                     [isa](const Known& candidate) { return candidate.isa == isa; });
    return known->name;
}

Isa active_isa() {
    return selected().load(std::memory_order_relaxed);
}

void select_isa(const std::string& name) {
    for (const auto& known : kKnown) {
        if (name != known.name) continue;
        if (!runs(known)) {
            throw std::invalid_argument("this machine has no " + name + ", choose one of " +
                                        joined(available_isas()));
        }
        selected().store(known.isa, std::memory_order_relaxed);
        return;
    }
    throw std::invalid_argument("no instruction set is called '" + name + "', choose one of " +
                                joined(available_isas()));
}

void select_isa_from_environment() {
    const char* name = std::getenv(kVariable);
    if (name == nullptr || *name == '\0') return;
    try {
        select_isa(name);
    } catch (const std::invalid_argument& error) {
        throw std::invalid_argument(std::string(kVariable) + ": " + error.what());
    }
}

}  // namespace patchtst_har::cpu
