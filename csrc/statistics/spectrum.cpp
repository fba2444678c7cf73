#include "statistics/spectrum.hpp"

#include <algorithm>
#include <cmath>

namespace patchtst_har::statistics {
namespace {

constexpr double kPi = 3.14159265358979323846;
// Powers this close (relative) are equal up to the rounding of a transform: the lowest of them wins.
constexpr double kTieTolerance = 1e-9;

// Lowest of the strongest bins outside [excluded_from, excluded_to); n_bins if there is none.
std::size_t strongest(const double* power, std::size_t n_bins, std::size_t excluded_from,
                      std::size_t excluded_to) {
    const auto first = power + std::min(excluded_from, n_bins);
    const auto second = power + std::min(excluded_to, n_bins);
    double largest = -1.0;
    for (const double* bin = power; bin < first; ++bin) largest = std::max(largest, *bin);
    for (const double* bin = second; bin < power + n_bins; ++bin) largest = std::max(largest, *bin);
    const double threshold = largest * (1.0 - kTieTolerance);
    const auto reaches = [threshold](double value) { return value >= threshold; };
    const double* found = std::find_if(power, first, reaches);
    if (found == first) found = std::find_if(second, power + n_bins, reaches);
    return static_cast<std::size_t>(found - power);
}

}  // namespace

void Spectrum::plan(std::size_t n) {
    if (n == n_) return;
    const bool even = n % 2 == 0;
    const std::size_t size = even ? n / 2 : n;
    fft_ = std::make_unique<ComplexFft>(size);
    signal_.resize(size);
    unpack_.resize(even ? size : 0);
    for (std::size_t k = 0; k < unpack_.re.size(); ++k) {
        const double angle = 2.0 * kPi * static_cast<double>(k) / static_cast<double>(n);
        unpack_.re[k] = std::cos(angle);
        unpack_.im[k] = -std::sin(angle);
    }
    n_ = n;
}

void Spectrum::power(const double* signal, std::size_t n, double* power) {
    plan(n);
    if (n % 2 == 0) {
        power_even(signal, power);
    } else {
        power_odd(signal, power);
    }
}

void Spectrum::power_even(const double* signal, double* power) {
    const std::size_t half = n_ / 2;
    double* re = signal_.re.data();
    double* im = signal_.im.data();
    for (std::size_t j = 0; j < half; ++j) {
        re[j] = signal[2 * j];
        im[j] = signal[2 * j + 1];
    }
    fft_->forward(re, im);
    for (std::size_t k = 1; k < half; ++k) {
        const double even_re = 0.5 * (re[k] + re[half - k]);
        const double even_im = 0.5 * (im[k] - im[half - k]);
        const double odd_re = 0.5 * (im[k] + im[half - k]);
        const double odd_im = 0.5 * (re[half - k] - re[k]);
        const double bin_re = even_re + odd_re * unpack_.re[k] - odd_im * unpack_.im[k];
        const double bin_im = even_im + odd_re * unpack_.im[k] + odd_im * unpack_.re[k];
        power[k - 1] = bin_re * bin_re + bin_im * bin_im;
    }
    const double nyquist = re[0] - im[0];
    power[half - 1] = nyquist * nyquist;
}

void Spectrum::power_odd(const double* signal, double* power) {
    double* re = signal_.re.data();
    double* im = signal_.im.data();
    std::copy(signal, signal + n_, re);
    std::fill(im, im + n_, 0.0);
    fft_->forward(re, im);
    for (std::size_t k = 1; k <= n_ / 2; ++k) power[k - 1] = re[k] * re[k] + im[k] * im[k];
}

SpectralFeatures summarise_spectrum(double* power, std::size_t n_bins, double bin_width_hz) {
    SpectralFeatures features{};
    double total = 0.0;
    for (std::size_t k = 0; k < n_bins; ++k) total += power[k];
    if (!(total > 0.0)) return features;
    for (std::size_t k = 0; k < n_bins; ++k) {
        power[k] /= total;
        if (power[k] > 0.0) features.entropy -= power[k] * std::log(power[k]);
    }
    features.entropy = n_bins < 2 ? 0.0 : features.entropy / std::log(static_cast<double>(n_bins));
    const std::size_t first = strongest(power, n_bins, n_bins, n_bins);
    features.freq_1 = static_cast<double>(first + 1) * bin_width_hz;
    features.power_1 = power[first];
    const std::size_t second = strongest(power, n_bins, first == 0 ? 0 : first - 1, first + 2);
    if (second < n_bins) {
        features.freq_2 = static_cast<double>(second + 1) * bin_width_hz;
        features.power_2 = power[second];
    }
    return features;
}

}  // namespace patchtst_har::statistics
