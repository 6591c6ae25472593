"""What waits in an outbox: which segments there are, how far each is delivered, what comes next.

Everything that changes an outbox from outside its writers runs under one lock and goes by
one small file, ``cursor.json``::

    {"delivered": {segment: offset}, "attempt": {segment: [from, to]}}

The attempt is written before a batch is sent and taken back after its commit, both by
rename. Whoever finds one sends exactly that range again, so the database knows the batch by
its identity. The file is an aid, not the truth: without it every event is sent once more,
and the database refuses those it has.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from data_platform.errors import OutboxError
from readers import segment

log = logging.getLogger("data_platform.outbox")

BATCH_BYTES = 8 * 1024 * 1024
"""A batch ends here even if it has few events: it must fit into one statement of the database."""

DRAFT_SECONDS = 60.0
"""A segment that is unfinished for so long is a dead writer's."""


class Noted(NamedTuple):
    """An access as noted down: where it lies, its JSON, and the JSON of its run (empty if damaged)."""

    segment: str
    start: int
    payload: bytes
    run: bytes


class Batch(NamedTuple):
    """The next accesses to deliver and the ranges of the segments that they come from."""

    events: list[Noted]
    spans: dict[str, tuple[int, int]]


@dataclass
class _Cursor:
    delivered: dict[str, int] = field(default_factory=dict)
    attempt: dict[str, tuple[int, int]] = field(default_factory=dict)


def prepare(folder: Path) -> None:
    """Make the outbox's folder, readable by its owner only."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        folder.chmod(0o700)


class Backlog:
    """The outbox as seen by those who deliver it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._unsaved: _Cursor | None = None
        self._foreign: set[str] = set()

    @contextlib.contextmanager
    def exclusively(self) -> Iterator[None]:
        """Keep all others from delivering meanwhile; waits for whoever does. Also between threads."""
        prepare(self.folder)
        descriptor = os.open(self.folder / "deliver.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def segments(self) -> list[Path]:
        """Return the segments, oldest first, without those of another format."""
        return [path for path in sorted(self.folder.glob("*" + segment.SUFFIX)) if self._readable(path)]

    def pending(self) -> int:
        """Count the accesses that are not delivered."""
        delivered = self._load().delivered
        return sum(
            _is_access(record) for path in self.segments() for record in _records(path, _offset(path, delivered))
        )

    def oldest(self) -> float | None:
        """Return when the access was read that waits longest, in seconds since the epoch; None if none waits."""
        delivered = self._load().delivered
        first = (next(filter(_is_access, _records(p, _offset(p, delivered))), None) for p in self.segments())
        read_at = [moment for record in first if record is not None and (moment := _read_at(record)) is not None]
        return min(read_at, default=None)

    def waiting(self) -> bool:
        """Tell cheaply whether there is anything to deliver."""
        delivered = self._load().delivered
        return any(next(_records(path, _offset(path, delivered)), None) for path in self.segments())

    def ends(self) -> dict[str, int]:
        """Return how far each segment is written, damaged ends left out."""
        delivered = self._load().delivered
        found = {}
        for path in self.segments():
            for record in _records(path, _offset(path, delivered)):
                found[path.name] = record.end
        return found

    def reached(self, ends: dict[str, int]) -> bool:
        """Tell whether everything up to `ends` is delivered."""
        delivered = self._load().delivered
        return all(delivered.get(name, 0) >= end or not (self.folder / name).exists() for name, end in ends.items())

    def saved_at(self) -> int:
        """Return a number that changes when anybody delivers."""
        try:
            return (self.folder / "cursor.json").stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def in_use(self) -> bool:
        """Tell whether a living process has a segment open."""
        return any(segment.alive(path) for path in self.segments())

    def take(self, limit: int) -> Batch:
        """Return the next accesses, at most `limit`; the range that was attempted last if there is one.

        Only under `exclusively`. What is damaged is set aside on the way.
        """
        cursor = self._load()
        batch = self._again(cursor.attempt)
        if not batch.spans:
            batch = self._next(cursor.delivered, limit)
        if batch.spans != cursor.attempt:
            cursor.attempt = batch.spans
            self._save(cursor)
        return batch

    def done(self, batch: Batch) -> None:
        """Note that the batch is in the database. Only under `exclusively`."""
        cursor = self._load()
        cursor.delivered |= {name: end for name, (_, end) in batch.spans.items()}
        cursor.attempt = {}
        self._save(cursor)

    def sweep(self) -> None:
        """Delete segments that are delivered and whose writers are gone. Only under `exclusively`."""
        cursor = self._load()
        for path in self.segments():
            if segment.alive(path):
                continue
            if not segment.anything_at(path, _offset(path, cursor.delivered)):
                path.unlink()
            elif path.stat().st_size % segment.PAGE == 0:
                segment.trim(path)
        for path in self.folder.glob("*" + segment.UNFINISHED):
            self._sweep_draft(path)
        kept = {name: offset for name, offset in cursor.delivered.items() if (self.folder / name).exists()}
        if kept != cursor.delivered:
            cursor.delivered = kept
            self._save(cursor)

    def set_aside(self, event: Noted, reason: str) -> None:
        """Keep an access that can never be delivered where a person may look at it."""
        self._keep(event.segment, event.start, event.payload, reason)

    def _next(self, delivered: dict[str, int], limit: int) -> Batch:
        batch = Batch([], {})
        room = BATCH_BYTES
        for path in self.segments():
            start = end = _offset(path, delivered)
            run = b""
            for record in _records(path, start):
                if len(batch.events) >= limit or room <= 0:
                    break
                end = record.end
                run = run or segment.first_payload(path)
                room -= self._collect(batch, path, record, run)
            if end > start:
                batch.spans[path.name] = (start, end)
        return batch

    def _again(self, attempt: dict[str, tuple[int, int]]) -> Batch:
        batch = Batch([], {name: span for name, span in attempt.items() if (self.folder / name).exists()})
        for name, (start, end) in batch.spans.items():
            path = self.folder / name
            run = segment.first_payload(path)
            for record in _records(path, start):
                if record.start >= end:
                    break
                self._collect(batch, path, record, run)
        return batch

    def _collect(self, batch: Batch, path: Path, record: segment.Record, run: bytes) -> int:
        """Add the record to the batch unless it is a run or damaged; return its size in bytes."""
        if record.payload is None:
            with path.open("rb") as file:
                file.seek(record.start)
                self._keep(path.name, record.start, file.read(record.end - record.start), "it is damaged")
        elif _is_access(record):
            batch.events.append(Noted(path.name, record.start, record.payload or b"", run))
        return record.end - record.start

    def _readable(self, path: Path) -> bool:
        try:
            segment.check_header(path)
        except FileNotFoundError:
            return False
        except OutboxError as error:
            if path.name not in self._foreign:
                log.warning("%s", error)
            self._foreign.add(path.name)
            return False
        return True

    def _sweep_draft(self, path: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > DRAFT_SECONDS and not segment.alive(path):
                path.unlink()

    def _keep(self, name: str, start: int, data: bytes, reason: str) -> None:
        folder = self.folder / "set-aside"
        folder.mkdir(mode=0o700, exist_ok=True)
        target = folder / f"{name.removesuffix(segment.SUFFIX)}-{start}.record"
        _replace(target, data)
        log.error("An access cannot be delivered because %s. Send %s to your steward.", reason, target)

    def _load(self) -> _Cursor:
        """Return the cursor as saved, no further back than this process knows."""
        cursor = _parsed(self.folder / "cursor.json")
        if self._unsaved is not None:
            for name, offset in self._unsaved.delivered.items():
                cursor.delivered[name] = max(offset, cursor.delivered.get(name, 0))
            cursor.attempt = self._unsaved.attempt
        return cursor

    def _save(self, cursor: _Cursor) -> None:
        data = json.dumps({"delivered": cursor.delivered, "attempt": cursor.attempt})
        try:
            _replace(self.folder / "cursor.json", data.encode())
            self._unsaved = None
        except OSError as error:
            # A full disk must not stop the delivery: deleting what is delivered makes room.
            log.warning("The delivery's progress cannot be saved yet: %s", error)
            self._unsaved = cursor


def pending(folder: Path) -> int:
    """Count the accesses in an outbox that are not delivered yet."""
    return Backlog(folder).pending()


def _offset(path: Path, delivered: dict[str, int]) -> int:
    return delivered.get(path.name, segment.HEADER)


def _is_access(record: segment.Record) -> bool:
    return record.payload is not None and record.start != segment.HEADER


def _read_at(record: segment.Record) -> float | None:
    """Return what the identity of an access begins with: its time."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return int(json.loads(record.payload or b"")["event_id"][:12], 16) / 1000
    return None


def _records(path: Path, start: int) -> Iterator[segment.Record]:
    """Yield what is readable from `start` on; nothing if the segment was delivered and deleted meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        # Asked first: a writer that is gone before the file is read has written all it ever will.
        complete = not segment.alive(path)
        yield from segment.records(path, start, complete=complete)


def _replace(target: Path, data: bytes) -> None:
    draft = target.with_suffix(".tmp")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(data)
    draft.replace(target)


def _parsed(path: Path) -> _Cursor:
    """Return the saved cursor; an empty one if the file is missing or makes no sense."""
    try:
        saved = json.loads(path.read_bytes())
        return _Cursor(
            {str(name): int(offset) for name, offset in saved["delivered"].items()},
            {str(name): (int(start), int(end)) for name, (start, end) in saved["attempt"].items()},
        )
    except FileNotFoundError:
        return _Cursor()
    except (ValueError, KeyError, TypeError, AttributeError):
        log.warning("%s is unreadable; what was delivered is sent again, which changes nothing", path)
        return _Cursor()
