"""The wish that a worker ends, and the loop that heeds it."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event
from types import FrameType

from data_platform.errors import DatabaseUnavailable, DataPlatformError
from data_platform.redact import redact_text

LONGEST_PAUSE = 30.0  # seconds between two tries while the database is away
SIGNALS = (signal.SIGTERM, signal.SIGINT)
_log = logging.getLogger(__name__)


class Stop:
    """Set by SIGTERM and Ctrl-C, which also break off whatever runs under `interrupting`.

    While DataJoint populates, a handler of its own is in force, which only raises SystemExit;
    where that meets somebody who drops it, as a clean-up that fails itself, the wish would be
    lost. So Python also notes each signal down in a socket (`signal.set_wakeup_fd`), which is
    looked at whenever somebody asks.
    """

    def __init__(self) -> None:
        self._event = Event()
        self._interrupting = False
        self._noted: socket.socket | None = None

    @classmethod
    @contextmanager
    def on_signals(cls) -> Iterator[Stop]:
        """Heed SIGTERM and SIGINT for the length of a block, in the main thread."""
        stop = cls()
        stop._noted, notes = socket.socketpair()
        with stop._noted, notes:
            stop._noted.setblocking(False)
            notes.setblocking(False)
            fd_before = signal.set_wakeup_fd(notes.fileno(), warn_on_full_buffer=False)
            before = {number: signal.signal(number, stop._receive) for number in SIGNALS}
            try:
                yield stop
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)
                signal.set_wakeup_fd(fd_before)
                stop._noted = None

    @property
    def requested(self) -> bool:
        """Whether the worker is to end."""
        if self._noted is not None:
            with suppress(BlockingIOError):
                if set(SIGNALS) & set(self._noted.recv(4096)):
                    self.request()
        return self._event.is_set()

    def request(self) -> None:
        """Ask the worker to end when it can."""
        self._event.set()

    def wait(self, seconds: float) -> None:
        """Sleep, but not past the wish to end."""
        if not self.requested:
            self._event.wait(seconds)

    def interrupting(self, step: Callable[[], int]) -> int:
        """Run `step`; a signal raises SystemExit in it, as DataJoint's own handler does while it populates."""
        self._interrupting = True
        try:
            return 0 if self.requested else step()
        except SystemExit:
            self.request()
            return 0
        finally:
            self._interrupting = False

    def _receive(self, number: int, frame: FrameType | None) -> None:
        interrupting, self._interrupting = self._interrupting, False  # a second signal must not disturb the tidying up
        self.request()
        if interrupting:
            raise SystemExit(f"signal {number}")


def repeat(
    stop: Stop,
    prepare: Callable[[], object],
    step: Callable[[], int],
    finished: Callable[[], bool],
    *,
    pause: float,
    longest: float = 8.0,
    patience: int | None = None,
    name: str = "worker",
) -> None:
    """Repeat `prepare` and `step` until `stop` or, when there was nothing to do, `finished`.

    Whatever goes wrong is most likely the database that went away: it is logged, and tried
    again after a pause that doubles each time.

    Parameters
    ----------
    step
        Does some work and returns how much; 0 means that there was none.
    pause
        Seconds to wait when there was none; twice as long each further time, up to `longest`:
        looking for work costs the database more, the more was done before.
    patience
        Failures in a row to bear; None for all.
    name
        What messages call it.

    Raises
    ------
    DataPlatformError
        If `patience` is at an end.
    """
    failures = idle = 0
    while not stop.requested:
        try:
            prepare()
            done = stop.interrupting(step)
            if not done and finished():
                return
            failures = 0
        except Exception as error:
            failures += 1
            if patience is not None and failures > patience:
                raise _as_ours(error) from error
            _log.warning("The %s starts again after %s", name, redact_text(f"{type(error).__name__}: {error}"))
            stop.wait(min(0.1 * 2.0**failures, LONGEST_PAUSE))
            continue
        idle = 0 if done else idle + 1
        if idle:
            stop.wait(min(pause * 2.0 ** min(idle - 1, 10), longest))


def _as_ours(error: Exception) -> DataPlatformError:
    if isinstance(error, DataPlatformError):
        return error
    return DatabaseUnavailable(
        f"The database failed again and again ({redact_text(f'{type(error).__name__}: {error}')}). "
        "Nothing is lost: run the worker again once `data-platform doctor` finds the database in order."
    )
