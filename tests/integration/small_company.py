"""A company of a few people whose reads are delivered and ingested, for tests of what is told of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

from data_platform.settings import load
from populate.ingest import Ingest
from populate.who.asker import Asker, asker
from schemas.binding import Binding
from schemas.identity import account_id, file_id, identity, version_id
from schemas.people import Account, Department, Departure, Membership, Person
from schemas.sharing import Access, AccessBatch, AccessRun

REALM = "acme"
MONDAY = datetime(2026, 5, 4, 8)
NOW = datetime(2026, 6, 1, 12)
Read = tuple[str, str, str, int]
"""Reader, path, owner, day after `MONDAY`."""


def person(login: str) -> str:
    return account_id(REALM, login)


def path_id(path: str) -> str:
    return file_id("file/lab", path)


def hire(login: str, department: str, *, name: str = "", title: str = "", kind: str = "person") -> None:
    key = person(login)
    Department.insert1({"department": department}, skip_duplicates=True)
    Person.insert1({"person_id": key, "full_name": name or login.title(), "person_kind": kind})
    Account.insert1({"account_id": key, "realm": REALM, "login": login, "person_id": key})
    since = {"person_id": key, "member_since": date(2025, 1, 1), "department": department, "title": title}
    Membership.insert1(since)


def dismiss(login: str, day: date) -> None:
    Departure.insert1({"person_id": person(login), "departed_on": day})


def deliver(
    binding: Binding,
    reads: Iterable[Read],
    *,
    batch: str,
    script: str = "",
    repository: str = "",
    data: str = "x",
    alike: bool = False,
) -> str:
    """Deliver reads of one run, by the first reader, and ingest them; return the id of the run.

    Each file has a content of its own, which changes with `data`; or, if `alike`, all have the same.
    """
    rows = list(reads)
    run = identity("run", batch)
    with binding.transaction():
        AccessBatch.insert1(
            {
                "batch_id": identity("batch", batch),
                "access_count": len(rows),
                "delivered_at": MONDAY,
                "delivered_from": "lab",
            }
        )
        AccessRun.insert1(_run(batch, run, rows[0], script, repository))
        Access.insert(
            [
                _access(batch, run, number, *read, data if alike else f"{read[1]} {data}")
                for number, read in enumerate(rows)
            ]
        )
    Ingest.populate()
    return run


def _run(batch: str, run: str, first: Read, script: str, repository: str) -> dict[str, Any]:
    empty = dict.fromkeys(("argv", "commit_id", "branch", "python_version", "package_version", "environment"), "")
    return empty | {
        "batch_id": identity("batch", batch),
        "execution_id": run,
        "started_at": MONDAY + timedelta(days=first[3]),
        "run_realm": REALM,
        "run_login": first[0],
        "host": "lab",
        "entry_point": script,
        "repository": repository,
        "dirty": False,
    }


def _access(
    batch: str, run: str, number: int, reader: str, path: str, owner: str, day: int, data: str
) -> dict[str, Any]:
    content = (identity("bytes", data) * 2)[:64]
    return {
        "event_id": identity("event", batch, str(number)),
        "batch_id": identity("batch", batch),
        "execution_id": run,
        "accessed_at": MONDAY + timedelta(days=day),
        "sequence": number,
        "outcome": "ok",
        "account_realm": REALM,
        "account_login": reader,
        "account_id": person(reader),
        "known_by": "setting",
        "source_system": "file/lab",
        "source_kind": "file",
        "url": f"file://{path}",
        "item_id": path,
        "file_id": path_id(path),
        "file_name": path.rpartition("/")[2],
        "file_path": path,
        "owner_realm": REALM if owner else "",
        "owner_login": owner,
        "revision": "1",
        "version_id": version_id("1", content),
        "sha256": content,
        "access_size": 100,
    }


def asking(binding: Binding, login: str, now: datetime = NOW) -> Asker:
    return asker(binding, load(realm=REALM, account=login), now)
