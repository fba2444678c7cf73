// Power spectrum of a real signal and what the features take from it.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "statistics/fft.hpp"

namespace patchtst_har::statistics {

// Real-input transform; keeps the plan of the last length.
class Spectrum {
  public:
    // power[k - 1] = |sum_j signal[j] exp(-2 pi i j k / n)|^2 for k = 1..n/2 (the DC bin is left out).
    void power(const double* signal, std::size_t n, double* power);

  private:
    void plan(std::size_t n);
    void power_even(const double* signal, double* power);
    void power_odd(const double* signal, double* power);

    std::size_t n_ = 0;
    std::unique_ptr<ComplexFft> fft_;
    ComplexVector signal_;
    ComplexVector unpack_;  // exp(-2 pi i k / n): takes the half-length transform of an even signal apart
};

struct SpectralFeatures {
    double freq_1, power_1, freq_2, power_2, entropy;
};

// Divides power[0..n_bins) by its sum and summarises it; bin k stands for (k + 1) * bin_width_hz.
SpectralFeatures summarise_spectrum(double* power, std::size_t n_bins, double bin_width_hz);

}  // namespace patchtst_har::statistics
