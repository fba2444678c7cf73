#include "cpu/isa.hpp"

#include <algorithm>
#include <array>
#include <atomic>
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
using Words = std::array<unsigned, 4>;  // eax, ebx, ecx, edx

// Zeros where the processor does not know the leaf.
Words cpuid(unsigned leaf, unsigned part) {
    Words words{};
    __get_cpuid_count(leaf, part, &words[0], &words[1], &words[2], &words[3]);
    return words;
}

bool has_bit(unsigned word, unsigned bit) {
    return (word >> bit & 1U) != 0;
}

// The registers that the operating system saves, a bit for each kind.
unsigned saved_registers(const Words& basic) {
    constexpr unsigned kAsks = 27;
    if (!has_bit(basic[2], kAsks)) return 0;
    unsigned low = 0;
    unsigned high = 0;
    // Its intrinsic needs a compiler flag.
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0U));
    return low;
}

// Asked here: __builtin_cpu_supports is a function of a library that clang does not link on Windows.
std::vector<Feature> detect() {
    constexpr unsigned kYmm = 0x06;
    constexpr unsigned kZmm = 0xE6;
    const Words basic = cpuid(1, 0);
    const Words extended = cpuid(7, 0);
    const unsigned saved = saved_registers(basic);
    const bool ymm = (saved & kYmm) == kYmm;
    const bool zmm = (saved & kZmm) == kZmm;
    return {{"avx2", ymm && has_bit(extended[1], 5)},          {"fma", ymm && has_bit(basic[2], 12)},
            {"avx512f", zmm && has_bit(extended[1], 16)},      {"avx512vl", zmm && has_bit(extended[1], 31)},
            {"avx512dq", zmm && has_bit(extended[1], 17)},     {"avx512bw", zmm && has_bit(extended[1], 30)},
            {"avx512_bf16", zmm && has_bit(cpuid(7, 1)[0], 5)}};
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
