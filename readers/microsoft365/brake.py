"""The brake: until when an application was told to wait, known to all its processes, on other machines too.

A service that throttles means the application, not the one request that it answered: whoever
goes on asking with another process is told to wait longer. So the moment is kept in a small
file, and nobody asks before it has passed. Workers have a board that they share, too, in their
database; readers, who must not wait for a database, have the file alone.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from data_platform.errors import SourceUnavailable
from data_platform.settings import Settings

_MOMENT = struct.Struct("<d")
_LONGEST = 24 * 3600.0  # a clock that was set back must not stop everything for years
_SPARE = 0.02  # the other side counts from when it answered, by a clock of its own
LOOK_SECONDS = 1.0
"""Between two looks at the board."""


class Board(Protocol):
    """Where processes of an application that are on several machines tell each other to wait. It never raises."""

    def left(self, application: str) -> float:
        """Return how many seconds an application has still to wait, 0 if none or if that cannot be seen now."""

    def tell(self, application: str, seconds: float) -> None:
        """Have all wait for so many seconds from now, if they can be told."""


class Brake:
    """Until when to wait.

    Parameters
    ----------
    file
        Shared by the processes of one application; it is made when it is first needed. Where
        it cannot be written, each process keeps to what it was told itself.
    application
        Whose name it has on the board of the process (see `shared_by`); empty = it is not told of there.
    """

    def __init__(self, file: Path, application: str = "") -> None:
        self._file = file
        self._application = application
        self._until = 0.0  # by a clock that nobody sets
        self._next_look = 0.0

    @property
    def left(self) -> float:
        """Seconds still to wait, 0 if none."""
        return self._left_here() or self._left_elsewhere()

    def hold(self, seconds: float) -> None:
        """Let nobody ask for so many seconds from now; what was said before stays if it is later."""
        wait = min(max(seconds, 0.0), _LONGEST - 1) + _SPARE
        self._hold_here(wait)
        if self._application and _board is not None:
            _board.tell(self._application, wait)

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

    def _left_here(self) -> float:
        noted = self._noted() - time.time()
        return max(self._until - time.monotonic(), noted if noted <= _LONGEST else 0.0, 0.0)

    def _left_elsewhere(self) -> float:
        """Look at the board, now and then; what it says is known on this machine from then on."""
        if not self._application or _board is None or time.monotonic() < self._next_look:
            return 0.0
        self._next_look = time.monotonic() + LOOK_SECONDS
        if told := min(_board.left(self._application), _LONGEST - 1):
            self._hold_here(told)
        return told

    def _hold_here(self, wait: float) -> None:
        self._until = max(self._until, time.monotonic() + wait)
        with suppress(OSError):  # a home that cannot be written: the wait still counts here
            self._note(time.time() + wait)

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


def brake(settings: Settings, *, shared: bool = False) -> Brake:
    """Return the brake of the application that `settings` name.

    Parameters
    ----------
    shared
        Other machines are told by the board of this process, if it has one, and tell it.
    """
    application = f"{settings.microsoft365.tenant}/{settings.microsoft365.client_id}".lower()
    name = hashlib.sha256(application.encode()).hexdigest()
    return Brake(settings.home / "microsoft365" / f"brake-{name[:16]}", name[:32] if shared else "")


@contextmanager
def shared_by(board: Board) -> Iterator[None]:
    """Have brakes that are shared look at `board` for the length of a block."""
    global _board
    before, _board = _board, board
    try:
        yield
    finally:
        _board = before


_board: Board | None = None
_inherited: list[Board | None] = []


def _forget_in_child() -> None:
    # A session of a database cannot be shared; it is kept, for its end would be the parent's too.
    global _board
    _inherited.append(_board)
    _board = None


os.register_at_fork(after_in_child=_forget_in_child)
