#include "cpu/isa.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <stdexcept>

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

// Each also tells whether the operating system saves the registers. The names have to be literals.
std::vector<Feature> detect() {
#if defined(PATCHTST_HAR_X86)
    __builtin_cpu_init();
    return {{"avx2", __builtin_cpu_supports("avx2") != 0},
            {"fma", __builtin_cpu_supports("fma") != 0},
            {"avx512f", __builtin_cpu_supports("avx512f") != 0},
            {"avx512vl", __builtin_cpu_supports("avx512vl") != 0},
            {"avx512dq", __builtin_cpu_supports("avx512dq") != 0},
            {"avx512bw", __builtin_cpu_supports("avx512bw") != 0},
            {"avx512_bf16", __builtin_cpu_supports("avx512bf16") != 0}};
#else
    return {};
#endif
}

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
