"""Takes in the batches of one root in this process, beside whatever workers do."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from data_platform.errors import DatabaseUnavailable
from data_platform.settings import Settings
from populate.adopt.progress import AdoptProgress
from populate.adopt.survey import Unread
from populate.adopt.tables import Adopt, AdoptBatch, AdoptFailure, AdoptMember
from populate.lookup import lookup
from populate.work.queue import Queue, Urgency
from populate.work.stopping import Stop, repeat
from schemas.binding import Binding
from schemas.catalogue import FileName
from schemas.engine import dj

TEND_SECONDS = 1.0  # between two rounds of the janitor
PATIENCE = 8  # failures of the database in a row before it ends
MANY = 1000

Batch = tuple[int, int]
"""Survey and part, of one root."""


class Hands:
    """Works on what is open of a root.

    Parameters
    ----------
    settings
        Whose credentials read.
    root_id
        The root; batches of others are left to workers.
    progress
        Where to show how far it is.
    """

    def __init__(self, settings: Settings, binding: Binding, root_id: str, progress: AdoptProgress) -> None:
        self._binding = binding
        self._root = {"root_id": root_id}
        self._progress = progress
        table = Adopt()
        table.settings = settings
        self._queue = Queue(table, Urgency.BACK_FILL)
        self._next_tending = 0.0
        self._files = self._count_files()
        """For each batch that was open when this began its files."""

    def work(self, stop: Stop) -> None:
        """Work until nothing is left but what failed, the root goes out of reach, or `stop`.

        Raises
        ------
        DatabaseUnavailable
            If it cannot be reached for about a minute.
        """
        if not self._files:
            return
        self._queue.set_going()  # whoever asks again has mended what was in the way
        try:
            repeat(stop, self._tend, self._step, self._finished, pause=0.2, longest=TEND_SECONDS, patience=PATIENCE)
        finally:
            with suppress(DatabaseUnavailable):
                self._queue.let_go()
                self._queue.clean()
        self._show()

    def result(self, refusals: Sequence[Unread]) -> dict[str, Any]:
        """Return what became of it, in the words of `populate.adopt.share.Adopted`."""
        done = lookup(Adopt, "survey", "part", "files_taken", "bytes_taken", root_id=self._root.values())
        done = [row for row in done if row[:2] in self._files]
        left = len(self._files) - len(done)
        return {
            "taken": sum(row[2] for row in done),
            "taken_bytes": sum(row[3] for row in done),
            "unread": sorted([*refusals, *self._failures({row[:2] for row in done})]),
            "left": left,
            "failed": len(self._failed_jobs()),
        }

    def _tend(self) -> None:
        self._binding.ensure()
        now = time.monotonic()
        if now >= self._next_tending:
            self._next_tending = now + TEND_SECONDS
            self._queue.clean()
            self._show()
        self._queue.refresh()

    def _step(self) -> int:
        done = self._queue.table.populate(
            self._root, reserve_jobs=True, refresh=False, max_calls=1, suppress_errors=True
        )
        return int(done["success_count"]) + len(done["error_list"])

    def _finished(self) -> bool:
        """Tell whether nothing can be done now; what others have in hand is waited for while the root can be read."""
        self._queue.clean()
        table = self._queue.table
        ready = (table.key_source & self._root) - table.proj()
        ready = ready.restrict(dj.Not(self._failed_jobs()), semantic_check=False)
        return not len(ready & dj.Not(table.out_of_reach()))

    def _failed_jobs(self) -> Any:
        return self._queue.table.jobs & self._root & "status = 'error'"

    def _show(self) -> None:
        if not self._files:
            return
        done = {(survey, part) for survey, part in lookup(Adopt, "survey", "part", root_id=self._root.values())}
        files = sum(count for batch, count in self._files.items() if batch in done)
        self._progress.taken(files, sum(self._files.values()))

    def _count_files(self) -> dict[Batch, int]:
        still_open = ((AdoptBatch() & self._root) - Adopt.proj()).aggr(AdoptMember, count="COUNT(*)")
        columns = still_open.to_arrays("survey", "part", "count")
        return {(survey, part): count for survey, part, count in zip(*(c.tolist() for c in columns), strict=True)}

    def _failures(self, batches: set[Batch]) -> list[Unread]:
        columns = ("survey", "part", "file_id", "failure", "failure_message")
        surveys = {survey for survey, _ in batches}
        rows = lookup(AdoptFailure, *columns, root_id=self._root.values(), survey=surveys)
        rows = [row for row in rows if row[:2] in batches]
        paths = _paths([row[2] for row in rows])
        return [Unread(paths.get(row[2], row[2]), *row[3:]) for row in rows]


def _paths(file_ids: Sequence[str]) -> dict[str, str]:
    """Return the latest path of each file."""
    found: dict[str, str] = {}
    for start in range(0, len(file_ids), MANY):
        ids = file_ids[start : start + MANY]
        rows = lookup(FileName, "named_on", "file_id", "file_path", file_id=ids)
        found |= {file_id: path for _, file_id, path in sorted(rows)}
    return found
