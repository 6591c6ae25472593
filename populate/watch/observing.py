"""Tells an observer what comes of each job that this process makes.

DataJoint's `populate` returns only how many jobs succeeded. It tells the table of jobs of
each one's end, so that is where we listen. What it writes there of an error loses its
secrets first, for more people may read the queues than the logs; and it is written again if
others were in the way, for else the job would stay in hand.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from data_platform.redact import redact_text
from populate.work.contention import persist
from schemas.engine import dj

MADE, FAILED, INTERRUPTED = "made", "failed", "interrupted"


class Made(NamedTuple):
    """A job that was made, or was not.

    Attributes
    ----------
    table, key
        What was to be made.
    outcome
        ``made``, ``failed`` or, for a job that was told to stop, ``interrupted``.
    seconds
        How long it took.
    error
        Name and text of the error; empty if there was none. Not redacted.
    """

    table: str
    key: dict[str, Any]
    outcome: str
    seconds: float
    error: str = ""


Observer = Callable[[Made], None]


class _Watched(dj.jobs.Job):
    """The table of jobs of a computed table, with an ear."""

    def __init__(self, target: Any, observer: Observer) -> None:
        super().__init__(target)
        self._observer = observer
        self._since = time.monotonic()

    def _generate_definition(self) -> str:
        """Define nothing: the table is there, and to define it DataJoint would load all foreign keys there are."""
        return ""

    def reserve(self, key: dict[str, Any]) -> bool:
        reserved = persist(lambda: bool(super(_Watched, self).reserve(key)))
        self._since = time.monotonic()
        return reserved

    def complete(self, key: dict[str, Any], duration: float | None = None) -> None:
        persist(lambda: super(_Watched, self).complete(key, duration))
        if duration is not None:  # else its row was there already
            self._tell(key, MADE)

    def error(self, key: dict[str, Any], error_message: str, error_stack: str | None = None) -> None:
        stopped = error_message.startswith(("SystemExit", "KeyboardInterrupt"))
        self._tell(key, INTERRUPTED if stopped else FAILED, error_message)
        message, stack = redact_text(error_message), error_stack and redact_text(error_stack)
        persist(lambda: super(_Watched, self).error(key, message, stack))

    def _tell(self, key: dict[str, Any], outcome: str, error: str = "") -> None:
        name = type(self.target).__name__
        self._observer(Made(name, dict(key), outcome, time.monotonic() - self._since, error))


def watch(table: Any, observer: Observer = lambda made: None) -> None:
    """Have `observer` told of each job that `table`, an instance, makes from now on."""
    table._jobs = _Watched(table, observer)
