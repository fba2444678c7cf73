// Compiled once for each instruction set, with PATCHTST_HAR_VECTOR_BYTES and PATCHTST_HAR_KERNELS, the name
// of its table. Nothing else here has external linkage: the linker could otherwise pick one unit's copy
// for all of them.
#include "attention/kernel/backward.hpp"

namespace patchtst_har::attention {
namespace {

// Values in rising blocks of 64, each with the numbers of keys 4 * block.. and queries 0..15 of head 0.
void drop_values(const float* values, std::size_t begin, std::size_t end, const Dropout& dropout,
                 float* result) {
    const float kept = factor_of_kept(dropout);
    alignas(64) std::uint16_t numbers[kBlock];
    for (std::size_t first = begin; first < end; first += kBlock) {
        random_block(dropout.seed, 0, first / kBlock, 0, numbers);
        for (std::size_t i = 0; i < kBlock && first + i < end; i += kLanes) {
            const Sixteen value = Sixteen::first(values + first + i, end - first - i);
            const Sixteen dropped = value * factors_of(numbers + i, dropout, kept);
            dropped.first_to(result + first + i, end - first - i);
        }
    }
}

}  // namespace

extern const Kernels PATCHTST_HAR_KERNELS = {&forward_head, &backward_head, &forward_scratch,
                                             &backward_scratch, &drop_values};

}  // namespace patchtst_har::attention
