"""One recogniser in many threads, and in processes however they are started."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from patchtst_har import Recognizer
from patchtst_har.synthetic import recording as make_recording

# The parent's threads have run before it forks: the kernels' own, numba's, and 8 that share its recogniser.
SCRIPT = """
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from patchtst_har import Recognizer
from patchtst_har.synthetic import recording

RECORDING = recording().iloc[:6000]
RECOGNIZER = Recognizer.from_pretrained("wrist")
FEATURES = RECOGNIZER.config.features.model_copy(update={"n_threads": 2})
SEVERAL = RECOGNIZER.replace(config=RECOGNIZER.config.model_copy(update={"features": FEATURES}))

def labels(recognizer):
    return recognizer.predict_recording(RECORDING).to_csv()

def in_child(_):
    return labels(RECOGNIZER), labels(SEVERAL)

if __name__ == "__main__":
    expected = labels(RECOGNIZER)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(labels, [RECOGNIZER, SEVERAL] * 8)) == {expected}
    for method in multiprocessing.get_all_start_methods():
        with multiprocessing.get_context(method).Pool(2) as pool:
            assert set(sum(pool.map_async(in_child, range(2)).get(100), ())) == {expected}, method
        print(method)
"""


@pytest.mark.spawns
@pytest.mark.slow
def test_children_of_every_kind_label_as_their_parent_does(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert {"spawn"} < set(done.stdout.split()) <= {"fork", "spawn", "forkserver"}


@pytest.mark.filterwarnings("ignore::patchtst_har.inference.familiarity.UnfamiliarWarning")
def test_64_threads_label_as_one_does():
    recognizer, recording = Recognizer.from_pretrained("wrist"), make_recording()
    parts = [recording.iloc[start : start + 3000] for start in (0, 1000, 2000, 3000)]
    expected = [recognizer.predict_recording(part) for part in parts]
    assert len({tuple(one["probability"]) for one in expected}) == len(parts)
    with ThreadPoolExecutor(64) as pool:
        found = list(pool.map(recognizer.predict_recording, parts * 32))
    for k, one in enumerate(found):
        np.testing.assert_array_equal(one.to_numpy(), expected[k % len(parts)].to_numpy())
