// Runs a target on random inputs, where there is no libFuzzer: as a sweep, with any compiler and processor.
// `NAME_fuzz N` runs N of them.
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size);

int main(int argc, char** argv) {
    const unsigned long n_inputs = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 300;
    std::mt19937 random(1);  // NOLINT(bugprone-random-generator-seed)
    std::vector<unsigned char> bytes;
    for (unsigned long i = 0; i < n_inputs; ++i) {
        bytes.resize(random() % (i % 2 == 0 ? 64 : 2048));
        for (unsigned char& byte : bytes) byte = static_cast<unsigned char>(random());
        LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    }
    std::printf("%lu random inputs: nothing found\n", n_inputs);
    return 0;
}
