"""The page of faults names tests that exist, and every fault has guards that can be removed."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from guards import ROOT, Guard, read_guards

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "faults.md").read_text(encoding="utf-8")
ROWS = [line.split("|")[1:3] for line in PAGE.splitlines() if line.startswith("|")][2:]


@cache
def functions_of(path: Path) -> set[str]:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef)}


def test_the_table_is_read():
    assert len(ROWS) == 38
    assert len({fault for fault, _ in ROWS}) == len(ROWS)


@pytest.mark.parametrize(("fault", "tests"), ROWS, ids=[fault.strip() for fault, _ in ROWS])
def test_every_test_of_a_fault_exists(fault, tests):
    named = re.findall(r"`([^`]+)::(test_\w+)`", tests)
    assert named
    assert len(named) == tests.count("`") // 2, "every name is a test"
    assert [name for path, name in named if name not in functions_of(TESTS / path)] == []


def test_every_fault_has_a_guard():
    assert {guard.fault for guard in read_guards()} == {fault.strip() for fault, _ in ROWS}


@pytest.mark.parametrize(
    "guard", read_guards(), ids=lambda guard: f"{guard.fault}: {guard.guard.strip()}"[:100]
)
def test_the_guard_is_there_and_its_tests_are_those_of_the_fault(guard: Guard):
    text = (ROOT / guard.file).read_text(encoding="utf-8")
    assert guard.removed(text) != text
    (tests,) = [tests for fault, tests in ROWS if fault.strip() == guard.fault]
    assert guard.tests
    assert [test for test in guard.tests if f"`{test}`" not in tests] == []
