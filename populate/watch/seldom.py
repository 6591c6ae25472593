"""Questions that take the longer the more there is, for those who show their answers again and again."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

SHARE = 20.0
"""A question is asked again after so many times as long as its answer took."""


class Answer(NamedTuple, Generic[T]):
    """An answer, and when it was given, UTC."""

    value: T
    at: datetime


class Seldom(Generic[T]):
    """Asks a question anew only after `SHARE` times as long as its answer took, so small catalogues see no delay.

    Parameters
    ----------
    ask
        The question.
    clock
        Monotonic, in seconds.
    share
        In place of `SHARE`.
    """

    def __init__(self, ask: Callable[[], T], clock: Callable[[], float] = time.monotonic, share: float = SHARE) -> None:
        self._ask = ask
        self._clock = clock
        self._share = share
        self._next = 0.0
        self.known: Answer[T] | None = None

    @property
    def due(self) -> bool:
        """Whether it is time to ask."""
        return self.known is None or self._clock() >= self._next

    def latest(self) -> Answer[T]:
        """Return the answer, asked for just now if it is time to; what `ask` raises is raised here."""
        if self.known is None or self.due:
            began = self._clock()
            self.known = Answer(self._ask(), datetime.now(UTC))
            self._next = self._clock() + self._share * (self._clock() - began)
        return self.known
