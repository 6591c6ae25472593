"""A rate that reading keeps to, so that a share stays quick for those who work on it."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock


class Pace:
    """Makes threads wait so that together they take no more than so many files and bytes a second.

    Each pays before it goes on, for all that it takes: after n payments of c at a rate r, at
    least n * c / r seconds have passed.

    Parameters
    ----------
    files_per_second, bytes_per_second
        Greatest rates; 0 = any.
    clock
        Returns seconds that only rise.
    """

    def __init__(self, files_per_second: float, bytes_per_second: float, clock: Callable[[], float]) -> None:
        self._seconds_per_file = 1 / files_per_second if files_per_second else 0.0
        self._seconds_per_byte = 1 / bytes_per_second if bytes_per_second else 0.0
        self._clock = clock
        self._lock = Lock()
        self._files_until = self._bytes_until = 0.0

    def pay(self, files: int, size: int, wait: Callable[[float], object]) -> None:
        """Wait until `files` and `size` bytes more may be taken; `wait` sleeps for some seconds."""
        with self._lock:
            now = self._clock()
            until = now
            if cost := files * self._seconds_per_file:
                until = self._files_until = max(now, self._files_until) + cost
            if cost := size * self._seconds_per_byte:
                self._bytes_until = max(now, self._bytes_until) + cost
                until = max(until, self._bytes_until)
        if until > now:
            wait(until - now)
