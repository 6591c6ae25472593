"""Deliveries for tests of what happens to them afterwards, made of records as readers note them down."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from data_platform.settings import load
from populate.backup.tables import Placement
from populate.store import Place, open_store
from populate.work.queue import Queue
from readers.backlog import Noted
from readers.delivery import deliver
from readers.event import Consumer, access_record
from readers.file import FileSource
from readers.run import run_record
from readers.source import Item, Login
from schemas.binding import Binding
from schemas.identity import identity

Record = dict[str, object]
T = TypeVar("T")
MORNING = datetime(2026, 5, 4, 8)
_places = count()


def item(path: str, owner: str = "brendan", system: str = "file/lab") -> Item:
    """Return an item as a source would describe it."""
    return Item(system, path, path.rpartition("/")[2], path, f"file://{path}", owner=Login("acme", owner))


def read(
    file: Item | None, reader: str = "amy", data: bytes = b"x", revision: str = "r1", day: int = 0, **options: Any
) -> Record:
    """Return the record of a read, `day` days after a certain morning."""
    facts: dict[str, Any] = {} if file is None else {"item": file, "source_kind": options.pop("kind", "file")}
    if "error" not in options:
        facts |= {"revision": revision, "sha256": sha256(data), "size": len(data)}
    who = Consumer(Login("acme", reader), "setting", str(options.pop("on_behalf_of", "")))
    record = access_record(who, url=file.url if file else "file:///nowhere", function="read", **facts, **options)
    return record | {"accessed_at": (MORNING + timedelta(days=day)).isoformat()}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def hand_in(binding: Binding, records: Iterable[Record], run: str = "run") -> int:
    """Deliver `records` as one batch, from a run called `run`; return how many were new."""
    facts = run_record() | {"execution_id": identity("run", run), "started_at": MORNING.isoformat()}
    payload = json.dumps(facts, default=str).encode()
    noted = [Noted("segment", next(_places), json.dumps(record).encode(), payload) for record in records]

    def refuse(noted: Noted, reason: str) -> None:
        raise AssertionError(f"{reason}: {noted.payload!r}")

    return deliver(binding, noted, refuse)


def some_reads(seed: int, number: int, files: int = 20) -> list[Record]:
    """Return reads of few files by few people on few days, so that much happens more than once."""
    chance = random.Random(seed)
    return [_some_read(chance, chance.randrange(files)) for _ in range(number)]


def _some_read(chance: random.Random, file: int) -> Record:
    owner, reader = chance.choice(["brendan", "carol", "Carol"]), chance.choice(["amy", "AMY", "brendan", "svc"])
    thing = item(f"/data/{file}.csv", owner, chance.choice(["file/lab", "nfs/filer"]))
    if chance.random() < 0.1:
        return read(thing, reader, error=FileNotFoundError("gone"), day=chance.randrange(3)) | {
            "outcome": "SourceNotFound"
        }
    state = chance.randrange(3)
    return read(
        thing,
        reader,
        data=f"{file % 7} {state}".encode(),
        revision=f"r{state}",
        day=chance.randrange(3),
        on_behalf_of="dora" if reader == "svc" else "",
    )


def contents(*tables: Any) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of `tables` in order, without the times at which a worker did its work."""
    bookkeeping = {"ingested_at", "backed_up_at", "adopted_at"}
    found = {}
    for table in tables:
        names = [name for name in table().heading.names if name not in bookkeeping]
        found[table.__name__] = sorted(tuple(row[name] for name in names) for row in table().to_dicts())
    return found


def shuffled(things: Sequence[T], seed: int) -> list[T]:
    mixed = list(things)
    random.Random(seed).shuffle(mixed)
    return mixed


def read_file(path: Path, reader: str = "amy", **options: Any) -> Record:
    """Return the record of a read of a real file, in its present state; nothing is cached."""
    source = FileSource(load())
    thing = source.resolve(str(path))
    return read(thing, reader, path.read_bytes(), source.revision(thing).token, **options)


def stored() -> dict[str, bytes]:
    """Return every content that has a place, read back from the store; each object must be accounted for."""
    store = open_store(load())
    places = {
        row["sha256"]: Place(row["object_name"], row["place_offset"], row["place_length"])
        for row in Placement.to_dicts()
    }
    contents = {hash_: b"".join(store.read(place)) for hash_, place in places.items()}
    assert {hash_: sha256(data) for hash_, data in contents.items()} == {hash_: hash_ for hash_ in places}
    assert {name for name, _ in store.objects()} == {place.object_name for place in places.values()}
    return contents


def work_off(*tables: type[Any]) -> None:
    """Have all jobs of the tables made, one table after the other, in this process; none may fail."""
    for table in tables:
        queue = Queue(table())
        queue.refresh()
        while queue.run(50):
            pass
        assert queue.failed() == 0
