"""Running code where what only POSIX systems or Linux have cannot be found, as on Windows."""

from __future__ import annotations

import subprocess
import sys

# Libraries that look for it themselves are imported before it goes: their ways on Windows are theirs.
REMOVE_POSIX = """
import concurrent.futures.process, multiprocessing.popen_spawn_posix, subprocess, tempfile
import pandas, scipy.signal
import os, signal, sys, types

for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None
for name in ("memfd_create", "pread", "preadv", "register_at_fork", "fork", "getloadavg", "sysconf",
             "sched_getaffinity", "O_NOFOLLOW", "O_CLOEXEC"):
    delattr(os, name)
for name in ("SIGKILL", "SIGHUP"):
    delattr(signal, name)
sys.modules["msvcrt"] = types.SimpleNamespace(LK_NBLCK=2, locking=lambda descriptor, mode, n_bytes: None)
"""


def run_without_posix(code: str, *arguments: str) -> str:
    """Run `code` in a new interpreter and return what it prints; raise if it fails."""
    command = [sys.executable, "-c", REMOVE_POSIX + code, *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
