"""From accesses to rows: pure functions, one a table.

Each takes rows of `Access` (and `AccessRun`) as dicts and returns the rows of its table,
sorted by key and without duplicates. Every row holds only what its key determines, so the
tables end up alike in whatever order batches are worked off and however many workers there
are; and sorted keys mean that two workers which write the same rows never wait for each
other in a circle.

Ids that are not whole (a reader of somebody's own, a forged record) are treated as absent:
an odd event may lose its own row, it must not stop a batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from schemas.identity import account_id, display_text, identity, name_id, normal_login

Row = Mapping[str, Any]
Rows = list[dict[str, Any]]

TEXT = 255  # width of the columns for realms, logins and names of people
MEMBERS = 1000  # versions in a backup batch, at most
MEMBER_BYTES = 10 * 1000**3  # bytes in a backup batch, at most, unless a single file is larger

_HEX = frozenset("0123456789abcdef")
_account_id = lru_cache(maxsize=10_000)(account_id)  # the same few people all the time


def distinct(rows: Iterable[dict[str, Any]], *key: str) -> Rows:
    """Return one row for each `key`, sorted by it; of several the least, whatever their order."""
    best: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        identifier = tuple(row[name] for name in key)
        known = best.get(identifier)
        if known is None or (known != row and tuple(row.values()) < tuple(known.values())):
            best[identifier] = row
    return [best[identifier] for identifier in sorted(best)]


def sound(access: Row) -> dict[str, Any]:
    """Return `access` with ids that are not whole made empty, and its day added.

    ``file_id`` is then either a file that a row can be made of or empty; ``version_id`` and
    ``set_file_id`` likewise.
    """
    row = dict(access)
    row["day"] = row["accessed_at"].date()
    if not (is_hex(row["file_id"], 32) and row["source_system"]):
        row["file_id"] = ""
    whole = is_hex(row["version_id"], 32) and is_hex(row["sha256"], 64) and row["access_size"] >= 0
    if not (whole and row["file_id"] and row["outcome"] == "ok"):
        row["version_id"] = ""
    if not (is_hex(row["set_file_id"], 32) and is_hex(row["set_version_id"], 32) and row["version_id"]):
        row["set_file_id"] = ""
    return row


def is_hex(text: str, digits: int) -> bool:
    """Tell whether `text` is exactly `digits` lower-case hexadecimal digits."""
    return len(text) == digits and _HEX.issuperset(text)


def stored(text: str, width: int) -> str:
    """Return `text` as a column of that width stores it, as a delivery does."""
    return display_text(text)[:width]


# --- people -------------------------------------------------------------------------------


def accounts(accesses: Iterable[Row], runs: Iterable[Row]) -> Rows:
    """Return `Account` rows of everybody who read, was read for, owns or ran; a person each.

    Logins are kept in their normal form, because that is what the id stands for: as
    written, the first spelling met would win, and that depends on the order of work.
    """
    rows = (
        {"account_id": key, "realm": realm, "login": login, "person_id": key}
        for key, realm, login in _logins(accesses, runs)
    )
    return distinct(rows, "account_id")


def owners(accesses: Iterable[Row]) -> Rows:
    """Return `Account` rows of the owners alone, for files that nobody has read."""
    return accounts(
        (), ({"run_realm": a["owner_realm"], "run_login": a["owner_login"]} for a in accesses if a["owner_login"])
    )


def persons(account_rows: Iterable[Row]) -> Rows:
    """Return the `Person` rows that stand in for accounts nobody has told us about."""
    rows = (
        {"person_id": row["person_id"], "full_name": row["login"], "person_kind": "unknown"} for row in account_rows
    )
    return distinct(rows, "person_id")


def account_names(accesses: Iterable[Row]) -> Rows:
    """Return `AccountName` rows: what accounts were called on each day, where a source tells it beside the login."""
    named = (
        (account, access["day"], access[name])
        for access in accesses
        for account, name in ((_reader(access), "account_name"), (_owner(access), "owner_name"))
        if access.get(name)
    )
    rows = (
        {"account_id": account, "named_on": day, "name_id": name_id(name), "account_name": name}
        for account, day, name in named
    )
    return distinct(rows, "account_id", "named_on", "name_id")


def _logins(accesses: Iterable[Row], runs: Iterable[Row]) -> Iterator[tuple[str, str, str]]:
    for access in accesses:
        yield _reader(access), _text(access["account_realm"]), _text(access["account_login"])
        if access["on_behalf_of"]:
            yield _beneficiary(access), _text(access["account_realm"]), _text(access["on_behalf_of"])
        if access["owner_login"]:
            yield _owner(access), _text(access["owner_realm"]), _text(access["owner_login"])
    for run in runs:
        yield _account_id(run["run_realm"], run["run_login"]), _text(run["run_realm"]), _text(run["run_login"])


def _text(name: str) -> str:
    return normal_login(name)[:TEXT]


def _reader(access: Row) -> str:
    # Recomputed rather than taken from the record: a forged id cannot then name somebody else.
    return _account_id(access["account_realm"], access["account_login"])


def _beneficiary(access: Row) -> str:
    return _account_id(access["account_realm"], access["on_behalf_of"])


def _owner(access: Row) -> str:
    return _account_id(access["owner_realm"], access["owner_login"])


# --- catalogue ----------------------------------------------------------------------------


def source_systems(accesses: Iterable[Row]) -> Rows:
    """Return `SourceSystem` rows."""
    rows = ({name: a[name] for name in ("source_system", "source_kind")} for a in accesses if a["file_id"])
    return distinct(rows, "source_system")


def files(accesses: Iterable[Row]) -> Rows:
    """Return `File` rows."""
    rows = ({name: a[name] for name in ("file_id", "source_system", "item_id")} for a in accesses if a["file_id"])
    return distinct(rows, "file_id")


def file_names(accesses: Iterable[Row]) -> Rows:
    """Return `FileName` rows: what each file was called on each day."""
    rows = (
        {
            "file_id": a["file_id"],
            "named_on": a["day"],
            "name_id": _name(a["file_path"], a["file_name"]),
            "file_name": a["file_name"],
            "file_path": a["file_path"],
        }
        for a in accesses
        if a["file_id"] and (a["file_name"] or a["file_path"])
    )
    return distinct(rows, "file_id", "named_on", "name_id")


def _name(path: str, name: str) -> str:
    # A download link keeps its path while the server renames what it serves, so the name
    # counts too wherever the path does not tell it.
    return name_id(path if path.endswith("/" + name) or path == name else f"{path}\0{name}")


def file_owners(accesses: Iterable[Row]) -> Rows:
    """Return `FileOwner` rows: whom the source named on each day."""
    rows = (
        {"file_id": a["file_id"], "owner_since": a["day"], "account_id": _owner(a)}
        for a in accesses
        if a["file_id"] and a["owner_login"]
    )
    return distinct(rows, "file_id", "owner_since", "account_id")


def files_gone(accesses: Iterable[Row]) -> Rows:
    """Return `FileGone` rows: the source knew the item by its id and says it is not there."""
    rows = (
        {"file_id": a["file_id"], "gone_on": a["day"]}
        for a in accesses
        if a["file_id"] and a["outcome"] == "SourceNotFound"
    )
    return distinct(rows, "file_id", "gone_on")


def blobs(accesses: Iterable[Row]) -> Rows:
    """Return `Blob` rows."""
    rows = ({"sha256": a["sha256"], "blob_size": a["access_size"]} for a in accesses if a["version_id"])
    return distinct(rows, "sha256")


def versions(accesses: Iterable[Row]) -> Rows:
    """Return `Version` rows."""
    names = ("file_id", "version_id", "sha256", "revision")
    rows = ({name: a[name] for name in names} for a in accesses if a["version_id"])
    return distinct(rows, "file_id", "version_id")


def sets_of(accesses: Iterable[Row]) -> set[tuple[str, str]]:
    """Return (file_id, version_id) of the file sets that members were read as parts of."""
    return {(a["set_file_id"], a["set_version_id"]) for a in accesses if a["set_file_id"]}


def file_sets(members: Iterable[Row]) -> Rows:
    """Return `FileSet` rows for the sets that `members` are parts of."""
    return distinct(({"file_id": a["set_file_id"]} for a in members if a["set_file_id"]), "file_id")


def file_set_members(members: Iterable[Row]) -> Rows:
    """Return `FileSetMember` rows: which version of which file stood where in the set."""
    rows = (
        {
            "file_id": a["set_file_id"],
            "version_id": a["set_version_id"],
            "path_id": identity("path", a["set_path"]),
            "member_id": a["file_id"],
            "member_version": a["version_id"],
            "member_path": a["set_path"],
        }
        for a in members
        if a["set_file_id"]
    )
    return distinct(rows, "file_id", "version_id", "path_id")


# --- sharing ------------------------------------------------------------------------------


def executions(runs: Iterable[Row]) -> Rows:
    """Return `Execution` rows: the run's own words, with its login as an account."""
    left_out = ("batch_id", "run_realm", "run_login")
    rows = (
        {name: value for name, value in run.items() if name not in left_out}
        | {"account_id": _account_id(run["run_realm"], run["run_login"])}
        for run in runs
    )
    return distinct(rows, "execution_id")


def share_edges(accesses: Iterable[Row]) -> Rows:
    """Return `ShareEdge` rows: from a file's owner to whoever read it, or whom it was read for."""
    rows = (
        {
            "producer_id": _owner(a),
            "consumer_id": _beneficiary(a) if a["on_behalf_of"] else _reader(a),
            "file_id": a["file_id"],
            "shared_on": a["day"],
            "channel": "read",
        }
        for a in accesses
        if a["file_id"] and a["owner_login"] and a["outcome"] == "ok"
    )
    between_two = (row for row in rows if row["producer_id"] != row["consumer_id"])
    return distinct(between_two, "producer_id", "consumer_id", "file_id", "shared_on", "channel")


# --- backup -------------------------------------------------------------------------------


def backup_members(batch_id: str, version_rows: Iterable[Row], sizes: Mapping[str, int]) -> Rows:
    """Return `BackupMember` rows: the batch's versions, in parts of limited number and bytes.

    Parameters
    ----------
    batch_id
        The access batch that the versions were met in.
    version_rows
        `Version` rows, sorted by key, so that the division is always the same.
    sizes
        Bytes of each content, by SHA-256.
    """
    rows: Rows = []
    part = members = total = 0
    for version in version_rows:
        size = sizes[version["sha256"]]
        if members and (members == MEMBERS or total + size > MEMBER_BYTES):
            part, members, total = part + 1, 0, 0
        members, total = members + 1, total + size
        key = {"batch_id": batch_id, "part": part, "attempt": 1}
        rows.append(key | {"file_id": version["file_id"], "version_id": version["version_id"]})
    return rows


def backup_batches(member_rows: Iterable[Row]) -> Rows:
    """Return the `BackupBatch` rows of `member_rows`."""
    keys = ("batch_id", "part", "attempt")
    return distinct(({name: row[name] for name in keys} for row in member_rows), *keys)
