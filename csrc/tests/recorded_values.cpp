#include "tests/recorded_values.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <istream>
#include <ostream>
#include <sstream>
#include <stdexcept>

namespace patchtst_har::tests {
namespace {

struct Named {
    Agreement agreement;
    const char* name;
    double share_of_value, share_of_largest;  // that the difference may have
};
constexpr std::array<Named, 3> kAgreements = {{
    {Agreement::kBits, "bits", 0.0, 0.0},
    {Agreement::kLastPlace, "last_place", 5e-7, 1e-9},
    {Agreement::kRounding, "rounding", 0.0, 1e-5},
}};

std::uint32_t bits_of(float value) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

float value_of(std::uint32_t bits) {
    float value = 0.0F;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

const Named& described(Agreement agreement) {
    return *std::find_if(kAgreements.begin(), kAgreements.end(),
                         [&](const Named& named) { return named.agreement == agreement; });
}

Agreement agreement_called(const std::string& name) {
    for (const auto& named : kAgreements) {
        if (name == named.name) return named.agreement;
    }
    throw std::runtime_error("no agreement is called '" + name + "'");
}

Case read_case(const std::string& line) {
    std::istringstream words(line);
    std::string name;
    std::string agreement;
    if (!(words >> name >> agreement)) throw std::runtime_error("no case: '" + line + "'");
    Case result{name, agreement_called(agreement), {}};
    std::uint32_t bits = 0;
    while (words >> std::hex >> bits) result.values.push_back(value_of(bits));
    if (!words.eof()) throw std::runtime_error(name + ": a value cannot be read");
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

void compare_values(const Case& ours, const Case& theirs, Tally& tally) {
    const Named& named = described(ours.agreement);
    const double largest = std::max(largest_of(ours.values), largest_of(theirs.values));
    ++tally.n_cases;
    tally.n_values += ours.values.size();
    for (std::size_t i = 0; i < ours.values.size(); ++i) {
        const float mine = ours.values[i];
        const float other = theirs.values[i];
        if (bits_of(mine) == bits_of(other)) continue;
        ++tally.n_different;
        const double apart = std::fabs(static_cast<double>(mine) - static_cast<double>(other));
        const double allowed =
            named.share_of_value * std::fabs(static_cast<double>(other)) + named.share_of_largest * largest;
        if (largest > 0.0) tally.most = std::max(tally.most, apart / largest);
        if (ours.agreement != Agreement::kBits && apart <= allowed) continue;
        ++tally.n_too_far;
        std::fprintf(stderr, "%s, value %zu: %.9g here, %.9g there\n", ours.name.c_str(), i,
                     static_cast<double>(mine), static_cast<double>(other));
    }
}

}  // namespace

void write_cases(const std::vector<Case>& cases, std::ostream& to) {
    to << std::hex;
    for (const auto& one : cases) {
        to << one.name << ' ' << described(one.agreement).name;
        for (const float value : one.values) to << ' ' << bits_of(value);
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
    for (const auto& named : kAgreements) {
        Tally tally;
        for (std::size_t i = 0; i < ours.size(); ++i) {
            if (ours[i].agreement == named.agreement) compare_values(ours[i], theirs[i], tally);
        }
        all_agree = all_agree && tally.n_too_far == 0;
        std::printf(
            "%-10s %5zu cases, %6zu values: %zu differ, by at most %.1e of the largest, %zu too much\n",
            named.name, tally.n_cases, tally.n_values, tally.n_different, tally.most, tally.n_too_far);
    }
    return all_agree;
}

}  // namespace patchtst_har::tests
