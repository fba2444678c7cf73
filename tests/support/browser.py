"""A headless Chromium for tests of pages."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import time
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def needs_chromium(test: Any) -> Any:
    """Mark a test that is skipped where there is no Chromium."""
    skip = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
    return pytest.mark.browser(skip(test))


# A browser takes commands on descriptor 3 and answers on 4.
_START = """
import fcntl, os, sys
read_end, write_end = (fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3])
os.dup2(read_end, 3)
os.dup2(write_end, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """A headless Chromium with one page, spoken to over a pair of pipes."""

    def __init__(self, profile, url):
        read_end, self._commands = os.pipe()
        self._answers, write_end = os.pipe()
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        options.append(f"--user-data-dir={profile}")
        ends = [str(read_end), str(write_end)]
        command = [sys.executable, "-c", _START, *ends, CHROMIUM, *options, "--remote-debugging-pipe"]
        self._process = subprocess.Popen(command, pass_fds=(read_end, write_end), stderr=subprocess.DEVNULL)
        os.close(read_end)
        os.close(write_end)
        self._rest, self._n_sent = b"", 0
        target = self._call("Target.createTarget", url=url)["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def evaluate(self, expression):
        """Return the value of a JavaScript expression in the page."""
        answer = self._call("Runtime.evaluate", self._session, expression=expression, returnByValue=True)
        return answer["result"].get("value")

    def resize(self, width):
        """Make the window so many pixels wide."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self._call("Emulation.setDeviceMetricsOverride", self._session, **size)

    def overflows(self, width):
        """Return whether the page is wider than a window of so many pixels."""
        self.resize(width)
        return self.evaluate("document.documentElement.scrollWidth > window.innerWidth")

    def prefer(self, scheme):
        """Set the colour scheme that the reader prefers, ``light`` or ``dark``."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._call("Emulation.setEmulatedMedia", self._session, features=features)

    def close(self):
        self._process.kill()
        self._process.wait(timeout=20)
        os.close(self._commands)
        os.close(self._answers)

    def _call(self, method, session=None, **params):
        self._n_sent += 1
        message = {"id": self._n_sent, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            readable, _, _ = select.select([self._answers], [], [], 20)
            assert readable, f"the browser does not answer to {method}"
            data = os.read(self._answers, 2**16)
            assert data, "the browser has ended"
            self._rest += data
            *answers, self._rest = self._rest.split(b"\0")
            for answer in map(json.loads, answers):
                if answer.get("id") == self._n_sent:
                    return answer["result"]


def wait_for(condition, seconds=15.0):
    """Wait until a function returns something true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)
