// Results as text, to be compared with those of another machine: a line is a case, "name agreement values",
// the values as the hexadecimal bits of float32.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace patchtst_har::tests {

// How far two machines may be apart: shares of the value, and of the largest one of its case.
struct Agreement {
    const char* name;
    double of_value, of_largest;
};

constexpr Agreement kBits{"bits", 0.0, 0.0};  // not at all
// The C library takes part (sin, cos, exp, log, atan2, pow): a few units in the last place.
constexpr Agreement kLastPlace{"last_place", 5e-7, 1e-9};
constexpr Agreement kRounding{"rounding", 0.0, 1e-5};  // sums in an order of their own, or fused steps

struct Case {
    std::string name, agreement;
    std::vector<float> values;
};

void write_cases(const std::vector<Case>& cases, std::ostream& to);

// Throws std::runtime_error where a line cannot be read.
std::vector<Case> read_cases(std::istream& from);

// Prints how many values agree and how far the others are apart; false if that is too far, or if the cases
// are not the same ones.
bool compare_cases(const std::vector<Case>& ours, const std::vector<Case>& theirs);

}  // namespace patchtst_har::tests
