"""What a survey writes down: files, and the batches in which they are taken in; or nothing, for a dry run."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from data_platform.errors import DatabaseUnavailable
from populate import facts
from populate.adopt.tables import (
    Adopt,
    AdoptBack,
    AdoptBatch,
    AdoptFile,
    AdoptGone,
    AdoptMember,
    AdoptRefusal,
    AdoptRoot,
    AdoptSurvey,
    AdoptSurveyEnd,
)
from populate.backup.contents import Failure
from populate.facts import stored
from populate.lookup import add, lookup, unknown
from populate.work.queue import INTERRUPTED
from readers.source import Item, Revision
from schemas.binding import Binding
from schemas.catalogue import File, FileGone, FileName, FileOwner, SourceSystem
from schemas.drivers import DRIVER_ERRORS
from schemas.engine import dj
from schemas.identity import identity
from schemas.people import Account, Person
from schemas.restrict import where

MEMBERS = 1000  # files in a batch, at most
BATCH_BYTES = 1000**3  # in a batch, at most, unless a single file is larger: fresh reads wait for its end
BATCH_SECONDS = 10  # that a batch takes at a rate
TRIES = 5


class Found(NamedTuple):
    """A file that was found: its identity, item and present revision."""

    file_id: str
    item: Item
    revision: Revision


@dataclass(frozen=True, slots=True)
class Rate:
    """How many files and bytes a second may be taken in; 0 = any."""

    files: float = 0.0
    bytes: float = 0.0

    @property
    def is_limited(self) -> bool:
        return bool(self.files or self.bytes)

    @property
    def batch_files(self) -> int:
        """Files in a batch, so few that a worker is free again soon."""
        return max(1, min(MEMBERS, int(self.files * BATCH_SECONDS))) if self.files else MEMBERS

    @property
    def batch_bytes(self) -> int:
        """Bytes in a batch."""
        return max(1, min(BATCH_BYTES, int(self.bytes * BATCH_SECONDS))) if self.bytes else BATCH_BYTES


def root_id_of(root: Item) -> str:
    """Return the identity of a root."""
    return identity("root", root.source_system, root.item_id)


def interrupted(error: Exception) -> bool:
    """Tell whether the server broke something off that can be done again."""
    text = f"{type(error).__name__}: {error}"
    return text.startswith(tuple(pattern.rstrip("%") for pattern in INTERRUPTED))


class Plan:
    """Writes nothing down: a dry run.

    Parameters
    ----------
    root, kind
        What is surveyed, and the name of its source.
    """

    def __init__(self, root: Item, kind: str) -> None:
        self.root_id = root_id_of(root)
        self.kind = kind

    def waiting(self, file_ids: Collection[str]) -> set[str]:
        """Return those of `file_ids` that are members of a batch that was not taken in yet."""
        batches = lookup(AdoptMember, "root_id", "survey", "part", "file_id", file_id=file_ids)
        roots = {batch[0] for batch in batches}
        surveys = {batch[1] for batch in batches}
        parts = {batch[2] for batch in batches}
        done = set(lookup(Adopt, "root_id", "survey", "part", root_id=roots, survey=surveys, part=parts))
        return {file_id for *batch, file_id in batches if tuple(batch) not in done}

    def add(self, found: Sequence[Found]) -> None:
        """Plan to take in `found`."""

    def note_known(self, file_ids: Collection[str]) -> None:
        """Note that these files, which the catalogue has, are below the root."""

    def note_back(self, found: Sequence[Found]) -> None:
        """Note that these files, which were gone, are back as they were, and their names."""

    def note_gone(self, file_ids: Collection[str]) -> None:
        """Note that the source says that these files are not there any more."""

    def refuse(self, path: str, failure: Failure) -> None:
        """Note what could not be looked at."""

    def flush(self) -> None:
        """Write down what is not written yet."""

    def end(self, counts: Mapping[str, int]) -> None:
        """Note that the survey has seen everything."""


class WrittenPlan(Plan):
    """Writes down batches as they become full, each with its files in one transaction."""

    def __init__(self, binding: Binding, root: Item, kind: str, rate: Rate) -> None:
        super().__init__(root, kind)
        self._binding = binding
        self._rate = rate
        self._now = datetime.now(UTC).replace(tzinfo=None)
        self._waiting: list[Found] = []
        self._waiting_bytes = 0
        self._part = 0
        self._after = _last_open(self.root_id) if rate.is_limited else None
        self._survey = self._begin(root)
        self._key: dict[str, Any] = {"root_id": self.root_id, "survey": self._survey}

    def _begin(self, root: Item) -> int:
        system = stored(root.source_system, 255)
        systems = [{"source_system": system, "source_kind": self.kind}]
        add(SourceSystem, unknown(SourceSystem, systems, "source_system"))
        place = {"root_system": system, "root_item": stored(root.item_id, 4096), "root_url": root.url}
        roots = [{"root_id": self.root_id, **place}]
        add(AdoptRoot, unknown(AdoptRoot, roots, "root_id"))
        for _ in range(TRIES):
            before = where(AdoptSurvey, root_id=self.root_id).to_arrays("survey")
            number = int(max(before, default=0)) + 1
            try:
                AdoptSurvey.insert1(
                    {
                        "root_id": self.root_id,
                        "survey": number,
                        "surveyed_at": self._now,
                        "files_per_second": self._rate.files,
                        "bytes_per_second": self._rate.bytes,
                    }
                )
                return number
            except dj.errors.DuplicateError:  # somebody surveys the same root just now
                continue
        raise DatabaseUnavailable(f"Others survey {root.url} all the time. Try again when they have ended.")

    def add(self, found: Sequence[Found]) -> None:
        for one in found:
            size = one.revision.size or 0
            full = len(self._waiting) >= self._rate.batch_files
            if self._waiting and (full or self._waiting_bytes + size > self._rate.batch_bytes):
                self.flush()
            self._waiting.append(one)
            self._waiting_bytes += size

    def flush(self) -> None:
        if not self._waiting:
            return
        found, self._waiting, self._waiting_bytes = self._waiting, [], 0
        for tried in range(1, TRIES + 1):
            try:
                self._write_batch(found)
                break
            except (dj.DataJointError, *DRIVER_ERRORS) as error:
                # Workers write the same tables: where two wait for each other, the server ends one of them.
                if tried == TRIES or not interrupted(error):
                    raise
        if self._rate.is_limited:
            self._after = self._survey, self._part
        self._part += 1

    def _write_batch(self, found: Sequence[Found]) -> None:
        batch = self._key | {"part": self._part}
        survey, part = self._after or (-1, -1)
        with self._binding.transaction():
            self._write_files(found)
            add(AdoptBatch, [batch | {"after_survey": survey, "after_part": part}])
            add(AdoptMember, [batch | _member(one) for one in sorted(found, key=lambda one: one.file_id)])

    def _write_files(self, found: Sequence[Found]) -> None:
        """Add files with their names and owners, in the order in which ingest does: nobody waits in a circle."""
        rows = [self._access(one) for one in found]
        accounts = unknown(Account, facts.owners(rows), "account_id")
        add(SourceSystem, unknown(SourceSystem, facts.source_systems(rows), "source_system"))
        add(Person, facts.persons(accounts))
        add(Account, accounts)
        add(File, unknown(File, facts.files(rows), "file_id"))
        add(FileName, facts.file_names(rows))
        add(FileOwner, facts.file_owners(rows))
        self.note_known([one.file_id for one in found])

    def _access(self, found: Found) -> dict[str, Any]:
        """Return what `populate.facts` reads of an access that finds the file today."""
        item = found.item
        return {
            "file_id": found.file_id,
            "source_system": stored(item.source_system, 255),
            "source_kind": self.kind,
            "item_id": stored(item.item_id, 4096),
            "file_name": stored(item.name, 768),
            "file_path": stored(item.path, 4096),
            "owner_realm": stored(item.owner.realm, facts.TEXT) if item.owner else "",
            "owner_login": stored(item.owner.name, facts.TEXT) if item.owner else "",
            "day": self._now.date(),
        }

    def note_known(self, file_ids: Collection[str]) -> None:
        rows = [{"root_id": self.root_id, "file_id": file_id} for file_id in sorted(file_ids)]
        add(AdoptFile, unknown(AdoptFile, rows, "root_id", "file_id"))

    def note_back(self, found: Sequence[Found]) -> None:
        add(FileName, facts.file_names([self._access(one) for one in found]))
        add(AdoptBack, [{**self._key, "file_id": file_id} for file_id in sorted({one.file_id for one in found})])

    def note_gone(self, file_ids: Collection[str]) -> None:
        add(FileGone, [{"file_id": file_id, "gone_on": self._now.date()} for file_id in sorted(file_ids)])
        add(AdoptGone, [{**self._key, "file_id": file_id} for file_id in sorted(file_ids)])

    def refuse(self, path: str, failure: Failure) -> None:
        refusal = {
            "path_id": identity("path", path),
            "refused_path": stored(path, 4096),
            "refusal": failure.name,
            "refusal_message": failure.message,
        }
        add(AdoptRefusal, [self._key | refusal])

    def end(self, counts: Mapping[str, int]) -> None:
        found = {"files_found": counts["files"], "bytes_found": counts["bytes"]}
        found |= {f"files_{what}": counts[what] for what in ("new", "changed", "gone")}
        add(AdoptSurveyEnd, [self._key | found])


def _member(found: Found) -> dict[str, Any]:
    size = -1 if found.revision.size is None else found.revision.size
    return {"file_id": found.file_id, "seen_revision": stored(found.revision.token, 512), "seen_size": size}


def _last_open(root_id: str) -> tuple[int, int] | None:
    """Return survey and part of the last batch that is not taken in yet, which a rate has to wait for."""
    still_open = (where(AdoptBatch, root_id=root_id) - Adopt.proj()).proj().to_arrays("survey", "part")
    return max(zip(*(column.tolist() for column in still_open), strict=True), default=None)
