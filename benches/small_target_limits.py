"""Ways to give a process less processor time and memory than the machine has."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

PERIOD_S = 0.1
"""A share of a core is a share of each period: 10 % is 10 ms in every 100 ms."""


class Limit(Protocol):
    """A limit that holds for one process."""

    name: str

    def apply(self, pid: int) -> None:
        """Begin to limit a process."""

    def facts(self) -> dict[str, int]:
        """Return what shows that it held."""

    def close(self) -> None:
        """Take the limit away, after the process has ended."""


@dataclass(frozen=True)
class Control:
    """The control group under which groups of a controller may be made."""

    parent: Path
    version: int


def find_control(controller: str, proc: Path = Path("/proc/self")) -> Control | None:
    """Return where this process may make groups of a controller (``cpu``, ``memory``); None if nowhere.

    In version 1 that is below its own group, so that the limits it is under itself go on to hold; in
    version 2, where a group with processes has none below it, below the nearest that hands the controller on.
    """
    own = {}
    for line in (proc / "cgroup").read_text().splitlines():
        number, names, path = line.split(":", 2)
        own.update(dict.fromkeys(names.split(",") if names else [f"version {number}"], path.lstrip("/")))
    for line in (proc / "mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        mount, (kind, _, options) = Path(before.split()[4]), after.split()
        if kind == "cgroup" and controller in options.split(",") and controller in own:
            group = mount / own[controller]
            if os.access(group, os.W_OK):
                return Control(group, 1)
        if kind == "cgroup2":
            for group in _upwards(mount / own.get("version 0", ""), mount):
                handed_on = group / "cgroup.subtree_control"
                if handed_on.exists() and controller in handed_on.read_text().split():
                    return Control(group, 2) if os.access(group, os.W_OK) else None
    return None


def _upwards(group: Path, top: Path) -> Iterator[Path]:
    yield group
    while group != top and group != group.parent:
        group = group.parent
        yield group


class Group:
    """A control group of its own, with `settings` by file; the files `shown` tell what it did."""

    def __init__(
        self, control: Control, controller: str, settings: Mapping[str, object], shown: Sequence[str]
    ) -> None:
        self.name = f"control group, version {control.version}"
        self._shown = shown
        self._folder = control.parent / f"small-target-{controller}-{os.getpid()}"
        self._folder.mkdir()
        try:
            for file, value in settings.items():
                (self._folder / file).write_text(str(value))
        except OSError:
            self.close()
            raise

    def apply(self, pid: int) -> None:
        (self._folder / "cgroup.procs").write_text(str(pid))

    def facts(self) -> dict[str, int]:
        """Return the number of each file, or the named numbers in it."""
        found: dict[str, int] = {}
        for path in (self._folder / file for file in self._shown):
            words = path.read_text().split() if path.exists() else []
            names, values = ([path.name], words) if len(words) == 1 else (words[::2], words[1::2])
            found.update(zip(names, map(int, values), strict=True))
        return found

    def close(self) -> None:
        # A group can be removed when the system is done with its last process.
        for _ in range(50):
            with contextlib.suppress(OSError):
                self._folder.rmdir()
                return
            time.sleep(0.02)
        raise RuntimeError(f"{self._folder} cannot be removed")


class DutyCycle:
    """Stopped and continued by signals: a share of the time, whether or not the process has work in it.

    Harder than a share of processor time: what arrives while it is stopped waits even if it was idle before.
    """

    name = "stopped and continued by signals"

    def __init__(self, share: float) -> None:
        self._share = share
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._n_periods = 0

    def apply(self, pid: int) -> None:
        # Of this process, even when the number is another's later.
        descriptor = os.pidfd_open(pid)
        self._thread = threading.Thread(target=self._run, args=(descriptor,), daemon=True)
        self._thread.start()

    def facts(self) -> dict[str, int]:
        return {"nr_periods": self._n_periods, "nr_throttled": self._n_periods}

    def close(self) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, descriptor: int) -> None:
        with os.fdopen(descriptor), contextlib.suppress(ProcessLookupError):
            while not self._ended.is_set():
                signal.pidfd_send_signal(descriptor, signal.SIGCONT)
                self._ended.wait(self._share * PERIOD_S)
                signal.pidfd_send_signal(descriptor, signal.SIGSTOP)
                self._ended.wait((1 - self._share) * PERIOD_S)
                self._n_periods += 1
            signal.pidfd_send_signal(descriptor, signal.SIGCONT)


class DataLimit:
    """So much private memory, counted when it is asked for, used or not (RLIMIT_DATA)."""

    name = "RLIMIT_DATA: private memory asked for, not what is resident"

    def __init__(self, n_bytes: int) -> None:
        self._n_bytes = n_bytes

    def apply(self, pid: int) -> None:
        resource.prlimit(pid, resource.RLIMIT_DATA, (self._n_bytes, self._n_bytes))

    def facts(self) -> dict[str, int]:
        return {}

    def close(self) -> None:
        """Nothing is left behind."""


def limit_cpu(share: float) -> Limit:
    """Return a limit to a share of a core: by a control group, or by signals where none can be made."""
    control = find_control("cpu")
    if control is None:
        return DutyCycle(share)
    period, quota = round(PERIOD_S * 1e6), round(share * PERIOD_S * 1e6)
    settings: dict[str, object] = {"cpu.max": f"{quota} {period}"}
    if control.version == 1:
        settings = {"cpu.cfs_period_us": period, "cpu.cfs_quota_us": quota}
    return Group(control, "cpu", settings, ["cpu.stat"])


def limit_memory(n_bytes: int) -> Limit:
    """Return a limit of memory: by a control group, without swap, or by RLIMIT_DATA where none can be made.

    A group counts a file's page for the process that read it first.
    """
    control = find_control("memory")
    if control is None:
        return DataLimit(n_bytes)
    if control.version == 1:
        settings = {"memory.limit_in_bytes": n_bytes, "memory.swappiness": 0}
        return Group(control, "memory", settings, ["memory.max_usage_in_bytes", "memory.failcnt"])
    return Group(control, "memory", {"memory.max": n_bytes}, ["memory.peak"])
