from __future__ import annotations

from patchtst_har.config import N_STATISTICAL_FEATURES, N_TOPOLOGICAL_FEATURES
from patchtst_har.features import STATISTICAL_FEATURE_NAMES, TOPOLOGICAL_FEATURE_NAMES

EXPECTED_STATISTICAL = """
x_mean x_std x_range x_min x_max x_q25 x_q50 x_q75
y_mean y_std y_range y_min y_max y_q25 y_q50 y_q75
z_mean z_std z_range z_min z_max z_q25 z_q50 z_q75
mag_mean mag_std mag_range corr_xy corr_xz corr_yz
mag_min mag_max mag_q25 mag_q50 mag_q75 mag_mad mag_skew mag_kurtosis mag_autocorr_1s
freq_1 power_1 freq_2 power_2 spectral_entropy peak_count peak_prominence_median
gravity_roll gravity_pitch gravity_yaw
dynamic_roll_mean dynamic_roll_cstd dynamic_pitch_mean dynamic_pitch_cstd dynamic_yaw_mean dynamic_yaw_cstd
enmo
"""
EXPECTED_TOPOLOGICAL = """
h0_life_1 h0_life_2 h0_life_3 h0_total h0_mean h0_std h0_q50 h0_q90 h0_entropy
h1_life_1 h1_life_2 h1_life_3 h1_total h1_mean h1_std h1_entropy h1_count
h1_birth_longest h1_death_longest h1_birth_max h1_death_max h1_l2 enclosing_radius periodicity
"""


def test_names_stand_in_the_published_order():
    assert tuple(EXPECTED_STATISTICAL.split()) == STATISTICAL_FEATURE_NAMES
    assert tuple(EXPECTED_TOPOLOGICAL.split()) == TOPOLOGICAL_FEATURE_NAMES


def test_there_are_as_many_names_as_the_model_expects():
    assert len(STATISTICAL_FEATURE_NAMES) == N_STATISTICAL_FEATURES == 56
    assert len(TOPOLOGICAL_FEATURE_NAMES) == N_TOPOLOGICAL_FEATURES == 24
    assert len({*STATISTICAL_FEATURE_NAMES, *TOPOLOGICAL_FEATURE_NAMES}) == 80
