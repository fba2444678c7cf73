#include "tests/recorded_values.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <sstream>
#include <stdexcept>

namespace patchtst_har::tests {
namespace {

constexpr Agreement kAgreements[] = {kBits, kLastPlace, kRounding};

template <typename To, typename From>
To same_bits(From value) {
    To result{};
    std::memcpy(&result, &value, sizeof result);
    return result;
}

bool is_known(const std::string& name) {
    return std::any_of(std::begin(kAgreements), std::end(kAgreements),
                       [&](const Agreement& known) { return name == known.name; });
}

Case read_case(const std::string& line) {
    std::istringstream words(line);
    Case result;
    if (!(words >> result.name >> result.agreement)) throw std::runtime_error("no case: '" + line + "'");
    if (!is_known(result.agreement)) {
        throw std::runtime_error("no agreement is called '" + result.agreement + "'");
    }
    std::uint32_t bits = 0;
    while (words >> std::hex >> bits) result.values.push_back(same_bits<float>(bits));
    if (!words.eof()) throw std::runtime_error(result.name + ": a value cannot be read");
    return result;
}

struct Tally {
    std::size_t n_cases = 0, n_values = 0, n_different = 0, n_too_far = 0;
    double most = 0.0;  // difference, of the case's largest value
};

float largest_of(const std::vector<float>& values) {
    float largest = 0.0F;
    for (const float value : values) largest = std::max(largest, std::fabs(value));
    return largest;
}

void compare_values(const Agreement& agreement, const Case& ours, const Case& theirs, Tally& tally) {
    const double largest = std::max(largest_of(ours.values), largest_of(theirs.values));
    ++tally.n_cases;
    tally.n_values += ours.values.size();
    for (std::size_t i = 0; i < ours.values.size(); ++i) {
        const float mine = ours.values[i];
        const float other = theirs.values[i];
        if (same_bits<std::uint32_t>(mine) == same_bits<std::uint32_t>(other)) continue;
        ++tally.n_different;
        const double apart = std::fabs(static_cast<double>(mine) - static_cast<double>(other));
        const double allowed =
            agreement.of_value * std::fabs(static_cast<double>(other)) + agreement.of_largest * largest;
        if (largest > 0.0) tally.most = std::max(tally.most, apart / largest);
        if (ours.agreement != kBits.name && apart <= allowed) continue;
        ++tally.n_too_far;
        std::fprintf(stderr, "%s, value %zu: %.9g here, %.9g there\n", ours.name.c_str(), i,
                     static_cast<double>(mine), static_cast<double>(other));
    }
}

}  // namespace

void write_cases(const std::vector<Case>& cases, std::ostream& to) {
    to << std::hex;
    for (const auto& one : cases) {
        to << one.name << ' ' << one.agreement;
        for (const float value : one.values) to << ' ' << same_bits<std::uint32_t>(value);
        to << '\n';
    }
}

std::vector<Case> read_cases(std::istream& from) {
    std::vector<Case> cases;
    for (std::string line; std::getline(from, line);) cases.push_back(read_case(line));
    return cases;
}

bool compare_cases(const std::vector<Case>& ours, const std::vector<Case>& theirs) {
    const auto same_kind = [](const Case& a, const Case& b) {
        return a.name == b.name && a.agreement == b.agreement && a.values.size() == b.values.size();
    };
    if (!std::equal(ours.begin(), ours.end(), theirs.begin(), theirs.end(), same_kind)) {
        std::fprintf(stderr, "other cases, or numbers of values, than here\n");
        return false;
    }
    bool all_agree = !ours.empty();
    for (const auto& agreement : kAgreements) {
        Tally tally;
        for (std::size_t i = 0; i < ours.size(); ++i) {
            if (ours[i].agreement == agreement.name) compare_values(agreement, ours[i], theirs[i], tally);
        }
        all_agree = all_agree && tally.n_too_far == 0;
        std::printf(
            "%-10s %5zu cases, %6zu values: %zu differ, by at most %.1e of the largest, %zu too much\n",
            agreement.name, tally.n_cases, tally.n_values, tally.n_different, tally.most, tally.n_too_far);
    }
    return all_agree;
}

}  // namespace patchtst_har::tests
