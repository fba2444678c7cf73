// The features of a window: compiled once for each instruction set, with PATCHTST_HAR_VECTOR_BYTES and
// PATCHTST_HAR_KERNELS, the name of its table. Nothing else here has external linkage: the linker could
// otherwise pick one unit's copy for all of them.
#include "statistics/columns.hpp"
#include "statistics/kernel/moments.hpp"
#include "statistics/kernel/movement.hpp"
#include "statistics/kernel/orientation.hpp"
#include "statistics/kernel/peaks.hpp"
#include "statistics/kernel/spectrum.hpp"

namespace patchtst_har::statistics {
namespace {

// Writes the values of the columns from `first` to `last`.
template <std::size_t first, std::size_t last, typename... Values>
PATCHTST_HAR_INLINE void write(float* features, Values... values) {
    static_assert(last - first + 1 == sizeof...(values), "each column takes one value");
    float* target = features + first;
    ((*target++ = static_cast<float>(values)), ...);
}

PATCHTST_HAR_INLINE double range_of(const Summary& summary) {
    return static_cast<double>(summary.max) - summary.min;
}

void write_axes(const Plan& plan, const Summary* summaries, float* features) {
    const AxisMoments moments = axis_moments(plan, summaries);
    for (std::size_t axis = 0; axis < 3; ++axis) {
        const Summary& summary = summaries[axis];
        const auto [q25, q50, q75] = quartiles_of(plan, plan.channels[axis], summary.min, summary.max);
        write<column("x_mean"), column("x_q75")>(features + axis * column("y_mean"), summary.mean,
                                                 moments.std[axis], range_of(summary), summary.min,
                                                 summary.max, q25, q50, q75);
    }
    const double* correlations = moments.correlation;
    write<column("corr_xy"), column("corr_yz")>(features, correlations[0], correlations[1], correlations[2]);
}

void write_magnitude(const Plan& plan, const Summary& summary, float* features) {
    const float* m = plan.channels[3];
    const MagnitudeMoments moments = magnitude_moments(plan, summary.mean);
    const auto [q25, q50, q75] = quartiles_of(plan, m, summary.min, summary.max);
    write<column("mag_mean"), column("mag_range")>(features, summary.mean, moments.std, range_of(summary));
    write<column("mag_min"), column("mag_q75")>(features, summary.min, summary.max, q25, q50, q75);
    write<column("mag_mad"), column("mag_autocorr_1s")>(features, median_deviation(plan, q50), moments.skew,
                                                        moments.kurtosis, autocorrelation(plan));
    const SpectralFeatures spectral = spectrum_of(plan, moments.std);
    write<column("freq_1"), column("spectral_entropy")>(features, spectral.freq_1, spectral.power_1,
                                                        spectral.freq_2, spectral.power_2, spectral.entropy);
    const PeakFeatures peaks = peaks_of(plan);
    write<column("peak_count"), column("peak_prominence_median")>(features, peaks.count,
                                                                  peaks.median_prominence);
    write<column("enmo"), column("enmo")>(features, moments.mean_above_one);
}

void write_orientation(const Plan& plan, float* features) {
    Orientation posture;
    Orientation motion;
    split_orientation(plan, posture, motion);
    write<column("gravity_roll"), column("gravity_yaw")>(features, posture.roll.mean, posture.pitch.mean,
                                                         posture.yaw.mean);
    write<column("dynamic_roll_mean"), column("dynamic_yaw_cstd")>(
        features, motion.roll.mean, motion.roll.std, motion.pitch.mean, motion.pitch.std, motion.yaw.mean,
        motion.yaw.std);
}

void compute(const float* window, const Plan& plan, float* features) {
    Summary summaries[4];
    load_window(window, plan, summaries);
    write_axes(plan, summaries, features);
    write_magnitude(plan, summaries[3], features);
    write_orientation(plan, features);
}

void load_channels(const float* window, const Plan& plan) {
    Summary summaries[4];
    load_window(window, plan, summaries);
}

}  // namespace

extern const Kernels PATCHTST_HAR_KERNELS = {&compute, &compute_movement, &load_channels, &transform};

}  // namespace patchtst_har::statistics
