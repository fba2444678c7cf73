#include "fuzz/fuzz.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

namespace patchtst_har::tests {

void fail(const std::string& where, const std::string& what) {
    std::fprintf(stderr, "%s: %s\n", where.c_str(), what.c_str());
    std::abort();
}

bool same_bits(const Floats& a, const Floats& b) {
    if (a.size() != b.size()) return false;
    return a.empty() || std::memcmp(a.data(), b.data(), sizeof(float) * a.size()) == 0;
}

void require_finite(const std::string& where, const Floats& values) {
    const bool all =
        std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
    if (!all) fail(where, "a value is not finite");
}

}  // namespace patchtst_har::tests

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    patchtst_har::fuzz::Input input(data, size);
    try {
        patchtst_har::fuzz::fuzz(input);
    } catch (const std::invalid_argument&) {
        return 0;
    }
    return 0;
}
