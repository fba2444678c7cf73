from results_table import Line, table_lines

FOUND = {"p50_us": 1234.5, "p95_us": None, "p99_us": 2.0, "device": "cpu", "per_round": 1}


def cells(results, *, has_cuda=False):
    return Line("model", "x", results).cells(has_cuda=has_cuda)


def test_cells_tell_no_benchmark_from_no_device_from_too_few_rounds():
    assert cells({"cpu": FOUND}) == ["1,234.50", "n/a", "2.00", "-", "-", "-"]
    assert cells({"cpu": FOUND, "cuda": None})[3:] == ["no device", "", ""]
    assert cells({"cpu": FOUND, "cuda": None}, has_cuda=True)[3:] == ["not run", "", ""]
    assert cells({"cpu": FOUND, "cuda": FOUND}, has_cuda=True)[3:] == ["1,234.50", "n/a", "2.00"]


def test_a_benchmark_that_failed_has_no_number():
    assert cells({"cpu": {"note": 1}})[:3] == ["not run", "", ""]


def test_lines_are_grouped_by_part_in_the_order_of_the_pipeline():
    lines = [
        Line("another", "z", {"cpu": FOUND}),
        Line("stream", "push", {"cpu": FOUND}),
        Line("model", "native", {"cpu": {**FOUND, "gflops": 7}}),
        Line("statistics", "one", {"cpu": FOUND}),
        Line("model", "eager", {"cpu": FOUND, "cuda": None}),
    ]
    text = table_lines(lines, has_cuda=False)
    assert text[0].split() == [
        "CPU",
        "p50",
        "CPU",
        "p95",
        "CPU",
        "p99",
        "CUDA",
        "p50",
        "CUDA",
        "p95",
        "CUDA",
        "p99",
    ]
    names = [line.split()[0] for line in text[1:]]
    assert names == ["statistics", "one", "model", "native", "eager", "stream", "push", "another", "z"]
    assert text[4].endswith("gflops 7")
    assert text[5].endswith("no device")
    assert len({line.index("1,234.50") for line in text if "1,234.50" in line}) == 1
