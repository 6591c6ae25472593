"""The index that the catalogue's own PostgreSQL keeps, as it follows the tables.

One process at a time writes, on whichever machine: `data-platform search --keep`, or whoever else has the right to. All
others answer with what is there. A portion and how far it brings the index are one transaction, so whoever is killed
leaves nothing half done.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from functools import cached_property
from typing import Any

import orjson

from data_platform.errors import DatabaseError, DatabaseUnavailable, SearchUnavailable
from populate.search.describing import Tables, all_files
from populate.search.follower import BUILD_SECONDS, Check, Follower, State
from populate.search.server import ServerIndex
from populate.search.server_tables import assert_there, rendered
from populate.search.views import Document
from populate.work.lease import Lease
from schemas.binding import Binding

LOOK_SECONDS = 0.2  # between two looks whether the lock is free
TOLD_SECONDS = 10.0  # from one line in the log that says how many files are indexed to the next

_WRITE = """
    INSERT INTO $progress (progress_no, is_complete, state) VALUES (1, %s, %s)
    ON CONFLICT (progress_no) DO UPDATE SET is_complete = excluded.is_complete, state = excluded.state
    RETURNING progress_no
"""

_log = logging.getLogger(__name__)


class OnServer(Follower[ServerIndex]):
    """The index of the catalogue's server.

    Parameters
    ----------
    leave
        Deletes what this machine kept before; called once this index can be asked.

    Raises
    ------
    NotDeployed
        If the server lacks the tables.
    """

    def __init__(self, binding: Binding, leave: Callable[[], None] = lambda: None) -> None:
        super().__init__(binding)
        assert_there(binding)
        self._leave = leave
        self._index = ServerIndex(binding)
        self._lease = Lease(binding, "search index")

    def follow(self) -> ServerIndex:
        """Return the index, brought up to what the tables say if this login may do that and no other is at it.

        Raises
        ------
        SearchUnavailable
            If it is not whole yet.
        """
        if self.may_write:
            if self.advance(BUILD_SECONDS):
                self._leave_no_other()
                return super().follow()
        elif self._is_complete():
            self._leave_no_other()
            return self._index
        raise SearchUnavailable(
            f"The search index on the server is being made, {self.state.share:.0%} so far. Try again later; if that "
            "does not rise, see that `data-platform search --keep` runs somewhere with the role of a worker."
        )

    def advance(self, seconds: float) -> bool:
        return super().advance(seconds) if self.may_write else self._is_complete()

    def rebuild(self) -> int:
        """Index all files anew, while the present index answers."""
        self.assert_may_write()
        with self._alone(BUILD_SECONDS):
            if self._is_complete():
                return self._renew()
            self._forget()
            return self._build()

    def check(self) -> Check:
        self.assert_may_write()
        return super().check()

    def _renew(self) -> int:
        tables = Tables(self._binding.connection)
        state = self._begun(tables)
        state.complete = True
        count = self._put(one for some in all_files(tables) for one in tables.documents(some).values())
        self._index.drop_strays()
        self._write(state)
        self._leave_no_other()
        return count

    def _present(self) -> ServerIndex:
        return self._index

    def _put(self, documents: Iterable[Document], done: Callable[[str], None] = lambda file_id: None) -> int:
        count, told = 0, time.monotonic()

        def lasting(last: str) -> None:
            if not self._lease.is_held:  # the session was lost, and with it the lock: another may have begun anew
                raise DatabaseUnavailable(
                    "The connection was lost, so others may have written the search index. Repeat what was being done."
                )
            done(last)

        def counted() -> Iterator[Document]:
            nonlocal count, told
            for document in documents:
                yield document
                count += 1
                if time.monotonic() - told >= TOLD_SECONDS:
                    _log.info("%d files are in the search index, those before %s.", count, document.file_id)
                    told = time.monotonic()

        return self._index.put(counted(), lasting)

    def _read(self) -> State:
        rows = self._query("SELECT state FROM $progress")
        found = orjson.loads(rows[0][0]) if rows else {"at": "1970-01-01"}
        return State(**{**found, "at": datetime.fromisoformat(found["at"])})

    def _is_complete(self) -> bool:
        """Return it without all that is remembered of the last minutes, which may be much."""
        return bool(self._query("SELECT 1 FROM $progress WHERE is_complete"))

    def _write(self, state: State) -> None:
        self._query(_WRITE, state.complete, orjson.dumps(asdict(state)).decode())

    def _forget(self) -> None:
        with self._binding.transaction():
            self._index.clear()
            self._write(State())

    @contextmanager
    def _locked(self, seconds: float) -> Iterator[None]:
        deadline = time.monotonic() + seconds
        while not self._lease.take():
            if time.monotonic() >= deadline:
                raise TimeoutError("another process writes the search index")
            time.sleep(LOOK_SECONDS)
        try:
            yield
        finally:
            self._lease.give()

    def _set_right(self, tables: Tables, views: int) -> int:
        wrong = self._index.drop_strays()
        if self._index.views != views:
            self._renew()
            wrong = 1
        self._leave_no_other()
        return int(wrong > 0)

    def _leave_no_other(self) -> None:
        self._leave()

    @cached_property
    def may_write(self) -> bool:
        """Whether this login may keep the index."""
        table = rendered("$view_of_file", self._binding)
        return bool(self._query("SELECT has_table_privilege(%s, 'INSERT')", table)[0][0])

    def assert_may_write(self) -> None:
        """See that this login may keep the index.

        Raises
        ------
        DatabaseError
            If it may not.
        """
        if not self.may_write:
            raise DatabaseError(
                "This login may read the search index on the server and not write it. Keep, check and rebuild it with "
                "a login that has the role of a worker (docs/how-to/deploy.md)."
            )

    def _query(self, text: str, *arguments: Any) -> list[tuple[Any, ...]]:
        return list(self._binding.connection.query(rendered(text, self._binding), arguments or None).fetchall())
