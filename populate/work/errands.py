"""What a scheduler has done by a process of its own: it may take long, and the queues must not wait for it."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress

LEAST_SECONDS = 15.0  # from one start to the next, whatever the reason
GRACE_SECONDS = 5.0  # for a process that is told to end

_log = logging.getLogger(__name__)


class Errand:
    """A module that is run again and again, never twice at a time.

    Parameters
    ----------
    module
        Run as ``python -m``; it ends by itself, and may be ended at any moment.
    seconds
        From one start to the next.
    wanted
        Tells whether there is a reason not to wait so long; it is then given the argument ``--noticed``.
    """

    def __init__(self, module: str, seconds: float, wanted: Callable[[], bool] = lambda: False) -> None:
        self._module = module
        self._seconds = seconds
        self._wanted = wanted
        self._process: subprocess.Popen[bytes] | None = None
        self._due = self._soonest = 0.0

    @property
    def is_under_way(self) -> bool:
        """Whether the process runs."""
        return self._process is not None

    def tend(self) -> None:
        """Start it if it is due, and say so if it has failed."""
        if self._process is not None and (code := self._process.poll()) is not None:
            self._process = None
            if code:
                _log.warning("%s ended with %d; it is run again in its time.", self._module, code)
        now = time.monotonic()
        if self._process is None and now >= self._due:
            self._due = now + self._seconds
            self._start(now)
        elif self._process is None and now >= self._soonest and self._wanted():
            self._start(now, "--noticed")

    def _start(self, now: float, *arguments: str) -> None:
        self._soonest = now + LEAST_SECONDS
        # Ctrl-C at a terminal is for us, who end it.
        self._process = subprocess.Popen([sys.executable, "-m", self._module, *arguments], start_new_session=True)

    def end(self) -> None:
        """End the process if it runs."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
            return
        process.kill()
        process.wait()
