// Random numbers that are the same on every machine: whole numbers and exact arithmetic, where
// std::normal_distribution depends on the C library's logarithm.
#pragma once

#include <cstddef>
#include <random>
#include <vector>

namespace patchtst_har::tests {

class ExactRandom {
  public:
    explicit ExactRandom(std::mt19937::result_type seed) : generator_(seed) {}

    // Nearly normal, of mean 0 and variance 1: twelve uniform numbers of 24 bits, less 6. No step rounds.
    double normal() {
        double sum = -6.0;
        for (int i = 0; i < 12; ++i) sum += static_cast<double>(generator_() >> 8U) / kSteps;
        return sum;
    }

    std::vector<float> floats(std::size_t n, float spread) {
        std::vector<float> values(n);
        for (float& value : values) value = static_cast<float>(normal()) * spread;
        return values;
    }

  private:
    static constexpr double kSteps = 16777216.0;

    std::mt19937 generator_;
};

}  // namespace patchtst_har::tests
