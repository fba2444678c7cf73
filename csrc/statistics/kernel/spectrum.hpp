// Power spectrum of the centred magnitude and what the features take from it.
#pragma once

#include "statistics/kernel/fft.hpp"

namespace patchtst_har::statistics {
namespace {

// Powers this close (relative) are equal up to the rounding of a transform: the lowest of them wins.
constexpr double kTieTolerance = 1e-9;

struct SpectralFeatures {
    double freq_1, power_1, freq_2, power_2, entropy;
};

void power_of_even(const Plan& plan) {
    const std::size_t half = plan.n / 2;
    double* __restrict re = plan.signal.re;
    double* __restrict im = plan.signal.im;
    const double* __restrict signal = plan.centred;
    for (std::size_t j = 0; j < half; ++j) {
        re[j] = signal[2 * j];
        im[j] = signal[2 * j + 1];
    }
    transform(*plan.spectrum.fft, plan.signal);
    const double* __restrict unpack_re = plan.spectrum.unpack.re;
    const double* __restrict unpack_im = plan.spectrum.unpack.im;
    double* __restrict power = plan.power;
    for (std::size_t k = 1; k < half; ++k) {
        const double even_re = re[k] + re[half - k];
        const double even_im = im[k] - im[half - k];
        const double odd_re = im[k] + im[half - k];
        const double odd_im = re[half - k] - re[k];
        const double bin_re = even_re + (odd_re * unpack_re[k] - odd_im * unpack_im[k]);
        const double bin_im = even_im + (odd_re * unpack_im[k] + odd_im * unpack_re[k]);
        power[k - 1] = 0.25 * (bin_re * bin_re + bin_im * bin_im);
    }
    const double nyquist = re[0] - im[0];
    power[half - 1] = nyquist * nyquist;
}

void power_of_odd(const Plan& plan) {
    const auto [re, im] = plan.signal;
    __builtin_memcpy(re, plan.centred, plan.n * sizeof(double));
    for (std::size_t k = 0; k < plan.n; ++k) im[k] = 0.0;
    transform(*plan.spectrum.fft, plan.signal);
    for (std::size_t k = 1; k <= plan.n / 2; ++k) plan.power[k - 1] = re[k] * re[k] + im[k] * im[k];
}

// Lowest of the strongest bins; bins outside the choice hold a negative power.
std::size_t strongest(const double* power, std::size_t n_bins) {
    Doubles largest = Doubles::all(-1.0);
    for_each_block(n_bins, [&](auto block) { largest = each(Larger{}, largest, block(power, -1.0)); });
    const double highest = reduced(largest, Larger{});
    if (highest < 0.0) return n_bins;
    std::size_t bin = 0;
    while (power[bin] < highest * (1.0 - kTieTolerance)) ++bin;
    return bin;
}

// Entropy of the shares power[k] / total, relative to the largest possible.
PATCHTST_HAR_STAGE double entropy_of(const double* power, std::size_t n_bins, double total, double scale) {
    Doubles sum{};
    const Doubles share = Doubles::all(1.0 / total);
    for_each_block(n_bins, [&](auto block) {
        const Doubles p = block(power, 0.0) * share;
        sum += p * each([](const auto& part) { return logarithm(part); }, p);
    });
    const double entropy = -sum_of(sum) * scale;
    return entropy > 0.0 ? entropy : 0.0;
}

PATCHTST_HAR_STAGE SpectralFeatures spectrum_of(const Plan& plan, double std) {
    SpectralFeatures features{};
    if (std < 1e-8) return features;
    if (plan.n % 2 == 0) {
        power_of_even(plan);
    } else {
        power_of_odd(plan);
    }
    const std::size_t n_bins = plan.n / 2;
    double* power = plan.power;
    Doubles sum{};
    for_each_block(n_bins, [&](auto block) { sum += block(power, 0.0); });
    const double total = sum_of(sum);
    if (!(total > 0.0)) return features;
    features.entropy = n_bins < 2 ? 0.0 : entropy_of(power, n_bins, total, plan.entropy_scale);
    const std::size_t first = strongest(power, n_bins);
    features.freq_1 = static_cast<double>(first + 1) * plan.bin_width_hz;
    features.power_1 = power[first] / total;
    for (std::size_t k = first == 0 ? 0 : first - 1; k < n_bins && k < first + 2; ++k) power[k] = -1.0;
    const std::size_t second = strongest(power, n_bins);
    if (second < n_bins) {
        features.freq_2 = static_cast<double>(second + 1) * plan.bin_width_hz;
        features.power_2 = power[second] / total;
    }
    return features;
}

}  // namespace
}  // namespace patchtst_har::statistics
