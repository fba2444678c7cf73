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

// Takes the transform of an even signal apart: calls use(k, re, im) with twice the values of the bins from 1
// to before `stop`, at most n / 2.
template <typename Use>
PATCHTST_HAR_INLINE void unpack_bins(const SpectrumPlan& plan, std::size_t stop, Use use) {
    const std::size_t half = plan.n / 2;
    const double* __restrict re = plan.signal.re;
    const double* __restrict im = plan.signal.im;
    const double* __restrict unpack_re = plan.unpack.re;
    const double* __restrict unpack_im = plan.unpack.im;
    for (std::size_t k = 1; k < stop; ++k) {
        const double even_re = re[k] + re[half - k];
        const double even_im = im[k] - im[half - k];
        const double odd_re = im[k] + im[half - k];
        const double odd_im = re[half - k] - re[k];
        use(k, even_re + (odd_re * unpack_re[k] - odd_im * unpack_im[k]),
            even_im + (odd_re * unpack_im[k] + odd_im * unpack_re[k]));
    }
}

// Leaves the transform of an even signal in plan.signal, yet to be unpacked.
void transform_even(const SpectrumPlan& plan, const double* __restrict signal) {
    double* __restrict re = plan.signal.re;
    double* __restrict im = plan.signal.im;
    for (std::size_t j = 0; j < plan.n / 2; ++j) {
        re[j] = signal[2 * j];
        im[j] = signal[2 * j + 1];
    }
    transform(*plan.fft, plan.signal);
}

void power_of_even(const SpectrumPlan& plan, const double* signal, double* __restrict power) {
    transform_even(plan, signal);
    unpack_bins(plan, plan.n / 2,
                [power](std::size_t k, double re, double im) { power[k - 1] = 0.25 * (re * re + im * im); });
    const double nyquist = plan.signal.re[0] - plan.signal.im[0];
    power[plan.n / 2 - 1] = nyquist * nyquist;
}

void power_of_odd(const SpectrumPlan& plan, const double* signal, double* power) {
    const auto [re, im] = plan.signal;
    __builtin_memcpy(re, signal, plan.n * sizeof(double));
    for (std::size_t k = 0; k < plan.n; ++k) im[k] = 0.0;
    transform(*plan.fft, plan.signal);
    for (std::size_t k = 1; k <= plan.n / 2; ++k) power[k - 1] = re[k] * re[k] + im[k] * im[k];
}

// Writes the power of the bins 1..n/2 to power[0..n/2).
PATCHTST_HAR_STAGE void power_of(const SpectrumPlan& plan, const double* signal, double* power) {
    if (plan.n % 2 == 0) {
        power_of_even(plan, signal, power);
    } else {
        power_of_odd(plan, signal, power);
    }
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
    power_of(plan.spectrum, plan.centred, plan.power);
    const std::size_t n_bins = plan.n / 2;
    double* power = plan.power;
    const double total = total_of(power, n_bins);
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
