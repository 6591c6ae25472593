"""The brake: until when an application was told to wait, known to all its processes on a machine.

A service that throttles means the application, not the one request that it answered: whoever
goes on asking with another process is told to wait longer. So the moment is kept in a small
file, and nobody asks before it has passed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
import time
from contextlib import suppress
from pathlib import Path

from data_platform.errors import SourceUnavailable
from data_platform.settings import Settings

_MOMENT = struct.Struct("<d")
_LONGEST = 24 * 3600.0  # a clock that was set back must not stop everything for years
_SPARE = 0.02  # the other side counts from when it answered, by a clock of its own


class Brake:
    """Until when to wait.

    Parameters
    ----------
    file
        Shared by the processes of one application; it is made when it is first needed. Where
        it cannot be written, each process keeps to what it was told itself.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._until = 0.0  # by a clock that nobody sets

    @property
    def left(self) -> float:
        """Seconds still to wait, 0 if none."""
        noted = self._noted() - time.time()
        return max(self._until - time.monotonic(), noted if noted <= _LONGEST else 0.0, 0.0)

    def hold(self, seconds: float) -> None:
        """Let nobody ask for so many seconds from now; what was said before stays if it is later."""
        wait = min(max(seconds, 0.0), _LONGEST - 1) + _SPARE
        self._until = max(self._until, time.monotonic() + wait)
        with suppress(OSError):  # a home that cannot be written: the wait still counts here
            self._note(time.time() + wait)

    def wait(self, patience: float) -> None:
        """Return once nobody has to wait any more.

        Raises
        ------
        SourceUnavailable
            If that would take longer than `patience` seconds.
        """
        started = time.monotonic()
        while left := self.left:
            if time.monotonic() - started + left > patience:
                raise SourceUnavailable(
                    f"Microsoft 365 asks this application to wait another {left:.0f} s. Try again after that."
                )
            time.sleep(left)

    def _noted(self) -> float:
        try:
            data = self._file.read_bytes()
        except OSError:
            return 0.0
        return float(_MOMENT.unpack(data)[0]) if len(data) == _MOMENT.size else 0.0

    def _note(self, until: float) -> None:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # so that a shorter wait never takes the place of a longer one
            held = self._noted()
            if not until <= held <= time.time() + _LONGEST:
                os.pwrite(descriptor, _MOMENT.pack(until), 0)
        finally:
            os.close(descriptor)


def brake(settings: Settings) -> Brake:
    """Return the brake of the application that `settings` name."""
    application = f"{settings.microsoft365.tenant}/{settings.microsoft365.client_id}".lower()
    name = hashlib.sha256(application.encode()).hexdigest()[:16]
    return Brake(settings.home / "microsoft365" / f"brake-{name}")
