"""Figures over everything, counted beside the pages: nobody waits for them but who comes first."""

from __future__ import annotations

from collections.abc import Callable
from threading import Condition, Thread
from typing import Generic, TypeVar

from populate.watch.seldom import SHARE, Answer, Seldom

T = TypeVar("T")

PATIENCE = 2.0
"""Seconds that a page waits for new figures before it shows the last ones."""


class Counting(Generic[T]):
    """Has a thread of its own ask a question, the more seldom the longer that takes; for many threads.

    Parameters
    ----------
    ask
        The question, on a connection that nobody else uses.
    share
        How many times as long as an answer took it is shown for.
    """

    def __init__(self, ask: Callable[[], T], share: float = SHARE) -> None:
        self._seldom = Seldom(ask, share=share)
        self._changed = Condition()
        self._under_way = False
        self._error: Exception | None = None

    def latest(self) -> Answer[T]:
        """Return the newest answer that is to be had without waiting for long.

        Raises
        ------
        Exception
            What the question raises, if there is no earlier answer.
        """
        with self._changed:
            if self._seldom.due and not self._under_way:
                self._under_way = True
                Thread(target=self._count, name="figures", daemon=True).start()
            first = self._seldom.known is None
            self._changed.wait_for(lambda: not self._under_way, None if first else PATIENCE)
            if self._seldom.known is None:
                raise self._error or RuntimeError("The figures were not counted, and nobody said why.")
            return self._seldom.known

    def _count(self) -> None:
        error: Exception | None = None
        try:
            self._seldom.latest()
        except Exception as found:
            error = found
        with self._changed:
            self._under_way, self._error = False, error
            self._changed.notify_all()
