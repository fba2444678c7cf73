// What the programs of this folder share. Each is one source file that defines run(), linked with sweep.cpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

#include "cpu/isa.hpp"

namespace patchtst_har::tests {

using Arguments = std::vector<std::string>;
using Floats = std::vector<float>;

// The program. Its exit status is 0 unless something fails (1) or throws (2).
void run(const Arguments& arguments);

// Ends the program.
[[noreturn]] void fail(const std::string& where, const std::string& what);

// How often memory was allocated so far: by operator new and, where it can be counted, by the C library.
std::size_t n_allocations();

inline bool same_bits(const Floats& a, const Floats& b) {
    if (a.size() != b.size()) return false;
    return a.empty() || std::memcmp(a.data(), b.data(), sizeof(float) * a.size()) == 0;
}

inline void require_finite(const std::string& where, const Floats& values) {
    const bool all =
        std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
    if (!all) fail(where, "a value is not finite");
}

// For what has been computed once.
template <typename Compute>
void require_no_allocation(const std::string& where, const Compute& compute) {
    const std::size_t before = n_allocations();
    compute();
    if (before == 0) fail(where, "no allocation was counted");
    if (n_allocations() != before) fail(where, "allocates the second time");
}

// compute(where) gives the same floats in every instruction set; `where` names the set, too.
template <typename Compute>
void require_same_in_every_set(const std::string& what, const Compute& compute) {
    Floats expected;
    for (const auto& isa : cpu::available_isas()) {
        cpu::select_isa(isa);
        std::string where = isa;
        where.append(", ").append(what);
        const Floats result = compute(where);
        if (isa == cpu::available_isas().front()) expected = result;
        if (!same_bits(result, expected)) fail(where, "differs from the first instruction set");
    }
}

}  // namespace patchtst_har::tests
