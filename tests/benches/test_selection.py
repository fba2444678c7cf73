import pytest

from selection import is_chosen

NODE = "benches/bench_x.py::test_y[a-1]"


@pytest.mark.parametrize(
    ("arguments", "markers", "long", "expected"),
    [
        (["benches"], "not study", False, False),
        (["benches"], "not study", True, True),
        (["benches"], "bench_long and not study", False, True),
        (["/here/benches/bench_x.py"], "", False, False),
        (["bench_x.py::test_y"], "", False, True),
        (["/here/benches/bench_x.py::test_y[b-2]"], "", False, True),
        (["benches/bench_x.py::test_y_z", "benches/bench_z.py::test_y"], "", False, False),
    ],
)
def test_long_benchmarks_run_if_they_are_asked_for(arguments, markers, long, expected):
    assert is_chosen(NODE, arguments, markers, long=long) is expected
