#include "statistics/statistics.hpp"

#include <algorithm>

#include "statistics/moments.hpp"
#include "statistics/orientation.hpp"
#include "statistics/peaks.hpp"
#include "statistics/quantiles.hpp"
#include "statistics/repair.hpp"

namespace patchtst_har::statistics {
namespace {

// Where each group of features begins; the names are in features/names.py.
constexpr std::size_t kChannels = 0;  // eight a channel
constexpr std::size_t kMagMean = 24;
constexpr std::size_t kCorrelations = 27;
constexpr std::size_t kMagMin = 30;
constexpr std::size_t kMagMad = 35;
constexpr std::size_t kAutocorrelation = 38;
constexpr std::size_t kSpectrum = 39;
constexpr std::size_t kPeaks = 44;
constexpr std::size_t kGravity = 46;
constexpr std::size_t kDynamic = 49;
constexpr std::size_t kEnmo = 55;

template <typename... Values>
void write(float* target, Values... values) {
    ((*target++ = static_cast<float>(values)), ...);
}

void write_channels(Workspace& workspace, std::size_t n, float* features) {
    const auto& channels = workspace.channels;
    Spread spreads[3];
    for (std::size_t axis = 0; axis < 3; ++axis) {
        const float* values = channels[axis].data();
        const Spread spread = spreads[axis] = spread_of(values, n);
        const Extremes extremes = extremes_of(values, n);
        const auto [low, high] = extremes;
        const auto [q25, q50, q75] = quartiles_of(values, n, extremes, workspace.selection.data());
        write(features + kChannels + 8 * axis, spread.mean, spread.std, high - low, low, high, q25, q50, q75);
    }
    const auto correlation = [&](std::size_t a, std::size_t b) {
        return correlation_of(channels[a].data(), spreads[a], channels[b].data(), spreads[b], n);
    };
    write(features + kCorrelations, correlation(0, 1), correlation(0, 2), correlation(1, 2));
}

double median_deviation(const std::vector<float>& values, double median, Workspace& workspace) {
    auto& deviations = workspace.deviations;
    for (std::size_t i = 0; i < values.size(); ++i) {
        deviations[i] = std::abs(static_cast<double>(values[i]) - median);
    }
    const Extremes extremes = extremes_of(deviations.data(), values.size());
    return median_of(deviations.data(), values.size(), extremes, workspace.double_selection.data());
}

SpectralFeatures spectrum_of(const std::vector<float>& values, const Spread& spread, double rate_hz,
                             Workspace& workspace) {
    if (spread.std < kConstantStd) return {};
    const std::size_t n = values.size();
    auto& centred = workspace.deviations;
    for (std::size_t i = 0; i < n; ++i) centred[i] = static_cast<double>(values[i]) - spread.mean;
    workspace.power.resize(n / 2);
    workspace.spectrum.power(centred.data(), n, workspace.power.data());
    return summarise_spectrum(workspace.power.data(), n / 2, rate_hz / static_cast<double>(n));
}

void write_magnitude(Workspace& workspace, std::size_t n, double rate_hz, float* features) {
    const auto& m = workspace.magnitude;
    const Spread spread = spread_of(m.data(), n);
    const Extremes extremes = extremes_of(m.data(), n);
    const auto [low, high] = extremes;
    const auto [q25, q50, q75] = quartiles_of(m.data(), n, extremes, workspace.selection.data());
    const auto [skew, kurtosis] = shape_of(m.data(), n, spread);
    write(features + kMagMean, spread.mean, spread.std, high - low);
    write(features + kMagMin, low, high, q25, q50, q75);
    write(features + kMagMad, median_deviation(m, q50, workspace), skew, kurtosis);
    write(features + kAutocorrelation, autocorrelation_1s(m.data(), n, rate_hz));
    const SpectralFeatures spectral = spectrum_of(m, spread, rate_hz, workspace);
    write(features + kSpectrum, spectral.freq_1, spectral.power_1, spectral.freq_2, spectral.power_2,
          spectral.entropy);
    const PeakFeatures peaks = peaks_of(m.data(), n, workspace);
    write(features + kPeaks, peaks.count, peaks.median_prominence);
    write(features + kEnmo, mean_above_one(m.data(), n));
}

void write_orientation(Workspace& workspace, std::size_t n, double rate_hz, float* features) {
    auto& gravity = workspace.gravity;
    auto& dynamic = workspace.dynamic;
    for (std::size_t axis = 0; axis < 3; ++axis) {
        split_gravity(workspace.channels[axis].data(), n, rate_hz, gravity[axis].data(),
                      dynamic[axis].data());
    }
    const Orientation posture = orientation_of({gravity[0].data(), gravity[1].data(), gravity[2].data()}, n);
    const Orientation motion = orientation_of({dynamic[0].data(), dynamic[1].data(), dynamic[2].data()}, n);
    write(features + kGravity, posture.roll.mean, posture.pitch.mean, posture.yaw.mean);
    write(features + kDynamic, motion.roll.mean, motion.roll.std, motion.pitch.mean, motion.pitch.std,
          motion.yaw.mean, motion.yaw.std);
}

void load(const float* window, std::size_t n, Workspace& workspace) {
    workspace.resize(n);
    auto& [x, y, z] = workspace.channels;
    repair_channel(window, n, 0, x.data());
    repair_channel(window, n, 1, y.data());
    repair_channel(window, n, 2, z.data());
    magnitude_of(x.data(), y.data(), z.data(), n, workspace.magnitude.data());
}

}  // namespace

void compute_features(const float* window, std::size_t n_samples, double rate_hz, Workspace& workspace,
                      float* features) {
    load(window, n_samples, workspace);
    write_channels(workspace, n_samples, features);
    write_magnitude(workspace, n_samples, rate_hz, features);
    write_orientation(workspace, n_samples, rate_hz, features);
}

void compute_magnitude(const float* window, std::size_t n_samples, Workspace& workspace, float* magnitude) {
    load(window, n_samples, workspace);
    std::copy(workspace.magnitude.begin(), workspace.magnitude.end(), magnitude);
}

}  // namespace patchtst_har::statistics
