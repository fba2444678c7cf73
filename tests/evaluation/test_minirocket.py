from itertools import combinations

import numpy as np
import pytest

from patchtst_har.evaluation.minirocket import MiniRocket


def by_definition(rocket, windows):
    """Return the features by convolution with the nine weights of every kernel."""
    length, columns = windows.shape[1], []
    for index, (dilation, biases) in enumerate(zip(rocket.dilations, rocket.biases, strict=True)):
        edge = 4 * dilation
        for kernel, places in enumerate(combinations(range(9), 3)):
            weights = -np.ones(9)
            weights[list(places)] = 2
            summed = windows[:, :, rocket.channels[index, kernel]].sum(axis=2)
            padded = np.pad(summed, ((0, 0), (edge, edge)))
            values = sum(
                weight * padded[:, tap * dilation : tap * dilation + length]
                for tap, weight in enumerate(weights)
            )
            if kernel % 2 != index % 2 and 2 * edge < length:
                values = values[:, edge : length - edge]
            columns += [(values > bias).mean(axis=1) for bias in biases[kernel]]
    return np.stack(columns, axis=1)


@pytest.mark.slow
def test_features_are_those_of_the_definition():
    rng = np.random.default_rng(0)
    # Eighths, so that sums are exact and no value lies at a threshold by rounding alone.
    windows = (rng.integers(-16, 17, (6, 100, 3)) / 8).astype(np.float32)
    rocket = MiniRocket.fit(windows, n_features=420, seed=1)
    assert rocket.dilations[0] == 1
    assert 8 * rocket.dilations[-1] < 100
    assert rocket.channels.any(axis=2).all()
    found = rocket.transform(windows)
    assert found.shape == (6, 420)
    np.testing.assert_allclose(found, by_definition(rocket, windows), atol=1e-6)
    again = MiniRocket.fit(windows, n_features=420, seed=1).transform(windows)
    np.testing.assert_array_equal(again, found)
