// The statistical features in the order of their columns: the one place that says how many there are, what
// they are called and where they stand. A new one goes to the end, so that the others keep their columns.
#pragma once

#include <cstddef>

namespace patchtst_har::statistics {

// clang-format off
constexpr const char* kFeatureNames[] = {
    "x_mean", "x_std", "x_range", "x_min", "x_max", "x_q25", "x_q50", "x_q75",
    "y_mean", "y_std", "y_range", "y_min", "y_max", "y_q25", "y_q50", "y_q75",
    "z_mean", "z_std", "z_range", "z_min", "z_max", "z_q25", "z_q50", "z_q75",
    "mag_mean", "mag_std", "mag_range",
    "corr_xy", "corr_xz", "corr_yz",
    "mag_min", "mag_max", "mag_q25", "mag_q50", "mag_q75",
    "mag_mad", "mag_skew", "mag_kurtosis", "mag_autocorr_1s",
    "freq_1", "power_1", "freq_2", "power_2", "spectral_entropy",
    "peak_count", "peak_prominence_median",
    "gravity_roll", "gravity_pitch", "gravity_yaw",
    "dynamic_roll_mean", "dynamic_roll_cstd", "dynamic_pitch_mean", "dynamic_pitch_cstd",
    "dynamic_yaw_mean", "dynamic_yaw_cstd",
    "enmo",
};
// clang-format on

constexpr std::size_t kFeatureCount = sizeof kFeatureNames / sizeof *kFeatureNames;

// The column of that name; as a constant, it does not compile for a name that is not in the table.
static constexpr std::size_t column(const char* name) {
    for (std::size_t i = 0;; ++i) {
        const char* known = kFeatureNames[i];
        const char* wanted = name;
        for (; *known != '\0' && *known == *wanted; ++known) ++wanted;
        if (*known == *wanted) return i;
    }
}

}  // namespace patchtst_har::statistics
