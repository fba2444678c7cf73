import tracemalloc

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifierCV

from patchtst_har.evaluation.ridge import Ridge


def simulated(n_classes: int, n: int, n_features: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features that say something of unequally frequent classes, with columns that are not centred."""
    rng = np.random.default_rng(n_classes)
    labels = np.minimum(rng.geometric(0.4, size=n) - 1, n_classes - 1)
    labels[:n_classes] = range(n_classes)
    means = rng.normal(size=(n_classes, n_features))
    features = rng.normal(2, 1, (n, n_features)) + 0.1 * means[labels]
    return features.astype(np.float32), labels


@pytest.mark.parametrize(("n_classes", "n_features"), [(2, 700), (5, 1200), (3, 40)])
def test_it_is_the_classifier_of_scikit_learn(n_classes, n_features):
    features, labels = simulated(n_classes, 90, n_features)
    asked, _ = simulated(n_classes + 1, 20, n_features)
    known = RidgeClassifierCV(np.logspace(-1, 5, 13), class_weight="balanced").fit(features, labels)
    expected = known.decision_function(asked)
    if n_classes == 2:
        expected = np.stack([-expected, expected], axis=1)
    found = Ridge.fit(features, labels)
    assert found.penalty == known.alpha_
    np.testing.assert_allclose(found.scores(asked), expected, atol=1e-6)


def test_features_are_never_copied_as_a_whole():
    features, labels = simulated(4, 150, 20_000)
    tracemalloc.start()
    Ridge.fit(features, labels).scores(features)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.7 * features.nbytes
