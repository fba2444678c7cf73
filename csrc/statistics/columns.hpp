// The statistical and the movement features in the order of their columns: the one place that says how many
// there are, what they are called and where they stand. A new one goes to the end, so that the others keep
// their columns.
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

// What is computed of each axis and of the magnitude.
// clang-format off
#define PATCHTST_HAR_OF_CHANNEL(c) \
    c "_band_1", c "_band_2", c "_band_3", c "_band_4", c "_band_5", c "_band_6", \
    c "_band_7", c "_band_8", c "_band_9", c "_band_10", c "_band_11", c "_band_12", \
    c "_band_13", c "_band_14", c "_band_15", c "_band_16", c "_band_17", c "_band_18", \
    c "_log_std", c "_log_jerk_std", c "_log_jerk_mean", \
    c "_part_mean_min", c "_part_mean_max", c "_part_mean_std", c "_part_mean_q50", \
    c "_part_log_std_min", c "_part_log_std_max", c "_part_log_std_std", c "_part_log_std_q50", \
    c "_q02", c "_q10", c "_q90", c "_q98"
// What is computed of the movement along and across gravity.
#define PATCHTST_HAR_OF_DIRECTION(d) \
    d "_std", d "_mean_abs", d "_min", d "_max", d "_q05", d "_q25", d "_q50", d "_q75", d "_q95", \
    d "_skew", d "_kurtosis"

constexpr const char* kMovementNames[] = {
    PATCHTST_HAR_OF_CHANNEL("x"), PATCHTST_HAR_OF_CHANNEL("y"),
    PATCHTST_HAR_OF_CHANNEL("z"), PATCHTST_HAR_OF_CHANNEL("mag"),
    "corr_x_mag", "corr_y_mag", "corr_z_mag",
    "principal_log_var_1", "principal_log_var_2", "principal_log_var_3",
    "cadence", "cadence_share", "cycle_duration", "cycle_height", "cycle_depth",
    "up_x", "up_y", "up_z", "up_angle_xy", "up_angle_yz", "up_angle_zx",
    PATCHTST_HAR_OF_DIRECTION("vertical"), PATCHTST_HAR_OF_DIRECTION("horizontal"),
};
// clang-format on
#undef PATCHTST_HAR_OF_CHANNEL
#undef PATCHTST_HAR_OF_DIRECTION

constexpr std::size_t kMovementCount = sizeof kMovementNames / sizeof *kMovementNames;
constexpr std::size_t kBands = 18;

// The column of a name in a table; as a constant, it does not compile for a name that is not there.
template <std::size_t n>
static constexpr std::size_t column_in(const char* const (&names)[n], const char* name) {
    for (std::size_t i = 0;; ++i) {
        const char* known = names[i];
        const char* wanted = name;
        for (; *known != '\0' && *known == *wanted; ++known) ++wanted;
        if (*known == *wanted) return i;
    }
}

static constexpr std::size_t column(const char* name) {
    return column_in(kFeatureNames, name);
}

static constexpr std::size_t movement_column(const char* name) {
    return column_in(kMovementNames, name);
}

}  // namespace patchtst_har::statistics
