"""A connection to the catalogue beside the binding's, for threads that look at it while that is busy."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from data_platform.errors import DatabaseUnavailable
from data_platform.redact import redact_text
from schemas.binding import Binding
from schemas.drivers import DRIVER_ERRORS, cut

CUT_SECONDS = 0.5  # before an answer that is waited for is broken off


class Watch:
    """A connection to the catalogue for threads that look at it; they take turns."""

    def __init__(self, binding: Binding) -> None:
        self._connect = binding.connection.another
        self._guard = threading.Lock()
        self._session: Any = None
        self._closed = False

    def ask(self, statement: str, arguments: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return the rows that a statement finds.

        Raises
        ------
        DatabaseUnavailable
            If the database does not answer, or this has been closed.
        """
        with self._guard:
            if self._closed:  # by another thread, before this one's turn came
                raise DatabaseUnavailable("Nobody looks at the database any more.")
            try:
                return self._ask(statement, arguments)
            except (*DRIVER_ERRORS, OSError) as error:
                self._hang_up()
                if self._closed:
                    raise DatabaseUnavailable("Nobody looks at the database any more.") from error
            try:
                return self._ask(statement, arguments)  # it may have been down meanwhile
            except (*DRIVER_ERRORS, OSError) as error:
                self._hang_up()
                raise DatabaseUnavailable(f"The database does not answer: {redact_text(str(error).strip())}") from error

    def close(self) -> None:
        """Hang up, in the middle of an answer if need be: a sum may take minutes."""
        self._closed = True
        while not self._guard.acquire(timeout=CUT_SECONDS):
            if (session := self._session) is not None:
                with suppress(*DRIVER_ERRORS, OSError, ValueError):  # it may have ended meanwhile
                    cut(session)
        try:
            self._hang_up()
        finally:
            self._guard.release()

    def _ask(self, statement: str, arguments: Sequence[object]) -> list[tuple[Any, ...]]:
        if self._session is None:
            self._session = self._connect()
        with self._session.cursor() as cursor:
            cursor.execute(statement, tuple(arguments) or None)
            return list(cursor.fetchall())

    def _hang_up(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            with suppress(*DRIVER_ERRORS, OSError):
                session.close()
