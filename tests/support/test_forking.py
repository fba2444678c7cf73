"""A Python that starts fast does what one of its own does."""

import os
import select
import signal
import subprocess
import sys

import pytest

from forking import python

pytestmark = pytest.mark.spawns
SCRIPT = """
import os, sys, warnings
print(sys.argv, sys.stdin.read(), os.getcwd(), os.environ["MINE"], __name__)
print(sys.modules["__main__"].__dict__ is globals())
warnings.warn("old")
"""


def both(*arguments, **options):
    """Return what a fork and what an interpreter of its own leave: status, output, last line of errors."""
    options |= {"capture_output": True, "text": True, "check": False}
    ran = [subprocess.run([*one, *arguments], **options) for one in (python(), (sys.executable,))]
    return [(done.returncode, done.stdout, done.stderr.strip().rpartition("\n")[2]) for done in ran]


@pytest.mark.parametrize("how", ["code", "script", "module"])
@pytest.mark.parametrize("flags", [(), ("-W", "error")])
def test_arguments_folder_environment_and_streams_arrive(tmp_path, how, flags):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = {"code": ("-c", SCRIPT), "script": (script,), "module": ("-m", "script")}[how]
    environment = {**os.environ, "MINE": "1"}
    found, expected = both(*flags, *command, "a", "b c", input="in", cwd=tmp_path, env=environment)
    assert found == expected
    assert expected[0] == bool(flags)
    assert "'b c'" in expected[1]


@pytest.mark.parametrize(
    "end", ["raise SystemExit(3)", "sys.exit('no')", "1 / 0", "os._exit(4)", "os.kill(os.getpid(), 9)"]
)
def test_it_ends_as_what_it_runs(end):
    found, expected = both("-c", f"import os, sys; {end}")
    assert found == expected
    assert expected[0] != 0


def test_its_modules_are_there_but_not_those_of_another_environment():
    code = "import os, sys; print('torch' in sys.modules, os.environ['OMP_NUM_THREADS'])"
    for n_threads, is_there in ((os.environ["OMP_NUM_THREADS"], True), ("7", False)):
        environment = {**os.environ, "OMP_NUM_THREADS": n_threads}
        command = [*python(), "-c", code]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert done.stdout == f"{is_there} {n_threads}\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_signals_reach_it(number):
    command = [*python(), "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(100)"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        child = os.pidfd_open(int(process.stdout.readline()))
        process.send_signal(number)
        assert process.wait(10) == -number
        assert select.select([child], [], [], 10)[0], "it goes on"
        os.close(child)
