#include "fuzz/fuzz.hpp"

#include <cstdio>
#include <cstdlib>
#include <stdexcept>

namespace patchtst_har::tests {

void fail(const std::string& where, const std::string& what) {
    std::fprintf(stderr, "%s: %s\n", where.c_str(), what.c_str());
    std::abort();
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
