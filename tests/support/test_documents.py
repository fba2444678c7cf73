"""JSON and YAML from anyone: what is refused, and that refusing costs little."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from patchtst_har.errors import DataError
from patchtst_har.support.documents import parse_json, parse_yaml, read_text
from patchtst_har.support.files import read_json

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10)
)
MAPPINGS = "a0: &a0 {k0: x}\n" + "".join(
    f"a{i}: &a{i} {{{', '.join(f'k{j}: *a{i - 1}' for j in range(9))}}}\n" for i in range(1, 10)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 200_000, "nested too deeply"),
        ('{"a":' * 200_000, "nested too deeply"),
        ("1" * 10_000, "a number has 10000 digits"),
        ("-" + "1" * 500, "a number has 501 digits"),
        ("1" + "0" * 308, "the whole number 10{39} is beyond 64 bits"),
        (str(-(2**63)), "the whole number -9223372036854775808 is beyond 64 bits"),
        ("1e999", "the number 1e999 is beyond float64"),
        ("[NaN]", "NaN is not JSON"),
        ("-Infinity", "-Infinity is not JSON"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "key 'c' stands twice in one object"),
        ('["\\ud800"]', "half a surrogate pair"),
        ('{"\\udc00": 1}', "half a surrogate pair"),
        ("{", "not JSON"),
    ],
)
def test_json_that_is_refused(text, message):
    with pytest.raises(DataError, match=f"^x.json: .*{message}"):
        parse_json(text, "x.json")


def test_json_that_is_read():
    assert parse_json('{"a": [1, -2.5e3, null, true, "\\u00e9 \\ud83d\\ude00"]}', "x") == {
        "a": [1, -2500.0, None, True, "\u00e9 \U0001f600"]
    }
    assert parse_json(str(2**63 - 1), "x") == 2**63 - 1
    assert parse_json("[" * 60 + "]" * 60, "x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAUGHS, "more than 200,000 values"),
        (MAPPINGS, "more than 200,000 values"),
        ("a: &a {b: *a}", r"alias \*a stands inside what it stands for"),
        ("a: &a [*a]", r"alias \*a stands inside what it stands for"),
        ("a: *b", "alias|not YAML"),
        ("[" * 5000, "nested more than 64 deep"),
        ("- " * 3000 + "x", "nested more than 64 deep"),
        ("a: " + "1" * 10_000, "not of its type"),
        ("a: 0000-00-00", "not of its type"),
        ("a: 2024-13-45", "not of its type"),
        ("a: !!int abc", "not of its type"),
        ("a: !!float abc", "not of its type"),
        ("a: !!timestamp abc", "not of its type"),
        ("a: !!int ''", "not of its type"),
        ("a: !!float ''", "not of its type"),
        ("a: !!bool maybe", "not of its type"),
        ("a: 1\nb: 2\na: 3", "line 3: key 'a' stands twice in one mapping"),
        ("a: {b: 1, b: 2}", "key 'b' stands twice"),
        ("a: !!python/object/apply:os.getcwd []", "not YAML"),
        ("a: [", "not YAML"),
        ("? [1, 2]\n: 3", "not YAML|not of its type"),
    ],
)
def test_yaml_that_is_refused(text, message):
    began = time.process_time()
    with pytest.raises(DataError, match=f"(?s)^x.yaml: .*({message})") as caught:
        parse_yaml(text, "x.yaml")
    assert time.process_time() - began < 2.0
    assert len(str(caught.value)) < 1000


def test_yaml_that_is_read():
    text = "base: &b {x: 1, y: [1, 2]}\nmore: {<<: *b, x: 2}\nagain: *b\n"
    assert parse_yaml(text, "x") == {
        "base": {"x": 1, "y": [1, 2]},
        "more": {"x": 2, "y": [1, 2]},
        "again": {"x": 1, "y": [1, 2]},
    }
    assert parse_yaml("", "x") is None
    merged = "b: &b {x: 1}\na: {inner: &m {<<: *b, x: 2}}\ntop: {<<: *m}\nmore: {<<: [*m, *b], y: 3}\n"
    assert parse_yaml(merged, "x") == {
        "b": {"x": 1},
        "a": {"inner": {"x": 2}},
        "top": {"x": 2},
        "more": {"x": 2, "y": 3},
    }


def test_files_that_are_no_documents_are_named(tmp_path: Path):
    path = tmp_path / "a.json"
    path.write_bytes(b"[" + b"1," * 50 + b"1]")
    with pytest.raises(DataError, match=r"a\.json: is larger than the 100 bytes that are read"):
        read_json(path, most_bytes=100)
    assert len(read_json(path, most_bytes=103)) == 51
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(path) == {"a": 1}
    with pytest.raises(IsADirectoryError):
        read_text(tmp_path, 10)
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=("{}",))
    writer.start()
    assert read_text(tmp_path / "pipe", 10, may_be_pipe=True) == "{}"
    writer.join()
    with pytest.raises(DataError, match="pipe: is not a regular file"):
        read_json(tmp_path / "pipe")


@pytest.mark.spawns
@pytest.mark.parametrize(
    "content",
    [
        pytest.param("[" + "[]," * 5_000_000 + "[]]", id="many small lists"),
        pytest.param("[" * 10_000_000, id="deep"),
        pytest.param('{"a":1,' * 2_000_000, id="unfinished"),
    ],
)
def test_hostile_json_takes_little_memory(tmp_path: Path, content):
    """Up to the cap of 16 MiB, in a process of its own."""
    (tmp_path / "a.json").write_text(content)
    code = (
        "import resource, sys\n"
        "from patchtst_har.errors import DataError\n"
        "from patchtst_har.support.files import read_json\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: read_json(sys.argv[1])\n"
        "except DataError as error: assert 'a.json' in str(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.json")], capture_output=True, text=True, check=True
    )
    kib = int(done.stdout) * (1 if sys.platform != "darwin" else 1 / 1024)
    assert kib < 500_000
