"""Which versions a file had and when, as the accesses tell."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from data_platform.errors import VersionUnavailable
from readers.source import Item, Login
from schemas.catalogue import FileSetMember, Version
from schemas.engine import dj
from schemas.restrict import where
from schemas.sharing import Access

FUNCTION = "read_version"
"""Recorded as the function that read an older version: such a read does not say what was in force then."""


class Past(NamedTuple):
    """A version of a file, as it was read once; `item` is the file as its source told of it then."""

    file_id: str
    version_id: str
    sha256: str
    revision: str
    size: int
    item: Item


class Member(NamedTuple):
    """A file in a version of a file set, by its path within the set."""

    path: str
    file_id: str
    sha256: str


def in_force(file_id: str, moment: datetime) -> Past:
    """Return the version that the last read at or before `moment` (UTC, naive) was given.

    Raises
    ------
    VersionUnavailable
        If the file was not read by then.
    """
    reads = _reads(file_id) & dj.Not({"function_name": FUNCTION})
    # A datetime puts nothing but digits and signs into the restriction.
    before = reads & f"accessed_at <= '{moment.isoformat(sep=' ', timespec='microseconds')}'"
    rows = before.to_dicts(order_by="accessed_at DESC", limit=1)
    if rows:
        return _past(rows[0])
    first = reads.to_dicts(order_by="accessed_at", limit=1)
    if not first:
        raise VersionUnavailable("Nobody has read this file yet, so no version of it is known. Read it without a time.")
    raise VersionUnavailable(
        f"Nobody read this file before {moment:%Y-%m-%d %H:%M:%S} (UTC). It was first read on "
        f"{first[0]['accessed_at']:%Y-%m-%d at %H:%M:%S}; ask for a later time."
    )


def with_hash(file_id: str, prefix: str) -> Past:
    """Return the version whose SHA-256 begins with `prefix`.

    Raises
    ------
    VersionUnavailable
        If the file has no such version, or several different ones.
    """
    read = dj.U("sha256", "version_id") & _reads(file_id)
    hashes = {row["sha256"] for row in read.to_dicts()} | set(where(Version, file_id=file_id).to_arrays("sha256"))
    found = sorted(sha256 for sha256 in hashes if sha256.startswith(prefix))
    if not found:
        raise VersionUnavailable(f"This file has no version sha256:{prefix}. Its versions are listed in the dashboard.")
    if len(found) > 1:
        raise VersionUnavailable(f"sha256:{prefix} fits {len(found)} versions of this file. Write more of the hash.")
    rows = where(_reads(file_id), sha256=found[0]).to_dicts(order_by="accessed_at DESC", limit=1)
    if not rows:
        raise VersionUnavailable(f"Nobody has read sha256:{found[0]} yet. Restore it by `data-platform restore`.")
    return _past(rows[0])


def members(past: Past) -> list[Member]:
    """Return the members of a version of a file set.

    Raises
    ------
    VersionUnavailable
        If the set is not in the catalogue (yet).
    """
    of_set = where(FileSetMember, file_id=past.file_id, version_id=past.version_id)
    content = Version.proj("sha256", member_id="file_id", member_version="version_id")
    rows = (of_set.proj("member_id", "member_version", "member_path") * content).to_dicts()
    if not rows:
        raise VersionUnavailable(
            f"The members of {past.item.name} are not in the catalogue yet. Run `data-platform worker --once`."
        )
    return [Member(row["member_path"], row["member_id"], row["sha256"]) for row in rows]


def last_read_under(url: str, account_id: str) -> str:
    """Return the ``file_id`` of what an account was last given under a link, or nothing."""
    own = where(Access, account_id=account_id, url=url, outcome="ok", set_file_id="")
    rows = own.to_dicts(order_by="accessed_at DESC", limit=1)
    return str(rows[0]["file_id"]) if rows else ""


def has_read(account_id: str, file_id: str, sha256: str) -> bool:
    """Tell whether an account was given exactly these bytes of this file before."""
    return bool(where(Access, account_id=account_id, file_id=file_id, sha256=sha256, outcome="ok"))


def _reads(file_id: str) -> Any:
    return where(Access, file_id=file_id, outcome="ok") & dj.Not({"version_id": ""})


def _past(row: dict[str, Any]) -> Past:
    owner = Login(row["owner_realm"], row["owner_login"]) if row["owner_login"] else None
    item = Item(row["source_system"], row["item_id"], row["file_name"], row["file_path"], row["url"], owner=owner)
    return Past(row["file_id"], row["version_id"], row["sha256"], row["revision"], row["access_size"], item)
