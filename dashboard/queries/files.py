"""What the pages of files ask: plain functions over a binding, pandas frames back.

Aggregates, filters, order and paging are the database's work; a frame is as long as the
page that shows it. Names of tables come from their classes, everything a user typed goes in
as a parameter, so no text from outside becomes SQL.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import pandas as pd

from dashboard.queries.file_statements import CONDITIONS, ORDERS, statement
from dashboard.queries.rows import number, rows
from data_platform.errors import DatabaseUnavailable
from data_platform.redact import redact_text
from populate.watch.tally import latest_tally
from schemas.binding import Binding
from schemas.drivers import DRIVER_ERRORS
from schemas.identity import display_text
from schemas.starts import between

STATES = tuple(state for state in CONDITIONS if state)
SORTS = tuple(ORDERS)
COPIES = 200  # shown at most
FEW = 2000  # files that can match a search, to be looked at alone
MOST_NAMES = 500  # of those that start as a search says, the first by name
LOOKED_AT_FIRST = 4  # latest reads for each file that is wanted, to find those files that were read last
STEP = 4  # so many times more are looked at if that was not enough, as where many are of the same files
MOST_LOOKED_AT = 100_000  # of these reads
MOST_OF_A_LOGIN = 10_000  # of the reads of one login


TALLIED = {
    "read_count": "accesses",
    "people": "people",
    "files": "files",
    "versions": "versions",
    "bytes_in": "logical_bytes",
    "bytes_kept": "kept_bytes",
    "bytes_distinct": "blob_bytes",
}
"""What the numbers over the pages are called where the scheduler has counted them."""


def headline(binding: Binding) -> dict[str, int]:
    """Return the numbers over the pages: reads, people, files, versions, bytes read and kept.

    Where the scheduler has counted them, also ``counted_at``, seconds since 1970.
    """
    return headline_beside(binding)()


def headline_beside(binding: Binding) -> Callable[[], dict[str, int]]:
    """Return a function that asks for these on a connection of its own, so that another thread may call it."""
    sql, connect = statement("headline"), binding.connection.another

    def ask() -> dict[str, int]:
        try:
            with closing(connect()) as session, session.cursor() as cursor:
                if (tallied := latest_tally(lambda one: _rows(cursor, one))) is not None:
                    numbers = {name: tallied.value[other] for name, other in TALLIED.items()}
                    return {**numbers, "counted_at": int(tallied.at.timestamp())}
                cursor.execute(sql)
                names = [column[0] for column in cursor.description]
                return {name: int(value or 0) for name, value in zip(names, cursor.fetchone(), strict=True)}
        except (*DRIVER_ERRORS, OSError) as error:
            raise DatabaseUnavailable(f"The database does not answer: {redact_text(str(error).strip())}") from error

    return ask


def _rows(cursor: Any, sql: str) -> list[tuple[Any, ...]]:
    cursor.execute(sql)
    return list(cursor.fetchall())


def files(
    binding: Binding,
    *,
    search: str = "",
    anywhere: bool = True,
    state: str = "",
    sort: str = "last read",
    descending: bool = True,
    limit: int = 50,
    offset: int = 0,
) -> pd.DataFrame:
    """Return a page of files with their present name, owner, readers, versions and backup state.

    Parameters
    ----------
    search
        Part of a path or of an owner's name, without regard to case; it has no wildcards.
    anywhere
        False: only files whose names start with `search`, found by an index however many files
        there are; of more than `MOST_NAMES` names the first.
    state
        One of `STATES`, or empty for all.
    sort
        One of `SORTS`.
    limit, offset
        The page, in files.

    Returns
    -------
    DataFrame
        ``file_id, file_name, file_path, owner, readers`` (a list of people's names, by
        name), ``versions, size`` (bytes of the version read last; of a folder its files'),
        ``members`` (files of a folder, 0 = not a folder), ``last_read`` (UTC), ``backup``
        (of `STATES`) and ``reason`` (why the backup failed).
    """
    if sort == "last read" and descending and not search and not state:
        latest, certain = _latest(binding, "latest", MOST_LOOKED_AT, limit, offset)
        if certain:
            return _shown(binding, list(latest["file_id"]))
    options, values = _matching(binding, search, anywhere)
    page = rows(
        binding,
        statement("page", sort=sort, descending=descending, state=state, **options),
        {**values, "limit": limit, "offset": offset},
    )
    return _shown(binding, list(page["file_id"]))


def files_of(binding: Binding, person_id: str, limit: int = 50) -> pd.DataFrame:
    """Return the files that belong to a person now, those met last first; columns as of `files`."""
    owned = rows(binding, statement("files_of"), {"person": person_id, "limit": limit})
    return _shown(binding, list(owned["file_id"]))


def read_by(binding: Binding, person_id: str, limit: int = 50) -> pd.DataFrame:
    """Return the files that a person read last: ``file_id, last_read`` (UTC) and names.

    Of each of the person's logins the latest `MOST_OF_A_LOGIN` reads are looked at, at most.
    """
    logins = rows(binding, statement("accounts_of"), {"person": person_id})["account_id"]
    # One login after the other: only the reads of one are in the order of their times in an index.
    pages = [_latest(binding, "read_by", MOST_OF_A_LOGIN, limit, account=login)[0] for login in logins]
    columns = ["file_id", "last_read"]
    read = pd.concat([page[columns] for page in pages] or [pd.DataFrame(columns=columns)], ignore_index=True)
    read = read.sort_values(["last_read", "file_id"], ascending=False).drop_duplicates("file_id").head(limit)
    return read.merge(rows(binding, statement("names"), _these(*read["file_id"])), on="file_id")


def _matching(binding: Binding, search: str, anywhere: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return how a statement is to search, and with which values: among few files if few can match at all."""
    if not search:
        return {}, {}
    if not anywhere:
        return _starting(binding, search)
    wanted = {"search": pattern(search)}
    found = rows(binding, statement("matching"), {**wanted, "limit": FEW + 1})
    if len(found) > FEW:
        return {"searching": True}, wanted
    return {"searching": True, "few": True}, {**wanted, **_these(*found["file_id"])}


def _starting(binding: Binding, search: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the same for names that start so: earlier names find a file here, but only present ones match."""
    start, beyond = between(display_text(search))
    values = {"start": start, "beyond": beyond}
    found = rows(binding, statement("starting", starting=binding.backend), {**values, "limit": MOST_NAMES})
    return {"starting": binding.backend, "few": True}, {**values, **_these(*found["file_id"].unique())}


def _latest(
    binding: Binding, name: str, most: int, limit: int, offset: int = 0, **whose: str
) -> tuple[pd.DataFrame, bool]:
    """Return a page of the files that were read last, and whether it is full and nothing is missing on it.

    Ever more of the latest reads are looked at until it is, or there are no more, or these are the most.
    """
    window = LOOKED_AT_FIRST * (limit + offset)
    while True:
        page = rows(binding, statement(name), {**whose, "window": window, "limit": limit, "offset": offset})
        # Of files that were read later than all that was not looked at nothing is missing.
        certain = len(page) == limit and page["last_read"].iloc[-1] > page["since"].iloc[-1]
        all_seen = len(page) > 0 and page["looked_at"].iloc[-1] < window
        if certain or all_seen or window * STEP > most:
            return page, certain
        window *= STEP


def _shown(binding: Binding, order: list[str]) -> pd.DataFrame:
    """Return what a page shows of these files, in this order."""
    shown = _these(*order)
    found = rows(binding, statement("files"), shown).set_index("file_id").reindex(order).reset_index()
    people = rows(binding, statement("readers_of_files"), shown).groupby("file_id")["reader"].agg(list)
    failures = rows(binding, statement("failures_of_files"), shown).groupby("file_id")["reason"].first()
    found["readers"] = [people.get(file_id, []) for file_id in order]
    found["reason"] = [failures.get(file_id, "") for file_id in order]
    return found


def count_files(binding: Binding, *, search: str = "", anywhere: bool = True, state: str = "") -> int:
    """Return how many files `files` would find on all its pages."""
    options, values = _matching(binding, search, anywhere)
    return number(binding, statement("count_files", state=state, **options), values)


def file(binding: Binding, file_id: str) -> dict[str, Any] | None:
    """Return what is known of one file (name, path, owner, source system), or None."""
    found = rows(binding, statement("file"), _these(file_id)).to_dict("records")
    return {str(name): value for name, value in found[0].items()} if found else None


def versions(binding: Binding, file_id: str) -> pd.DataFrame:
    """Return a file's versions, latest first: ``first_read, last_read`` (UTC), ``size``, ``sha256``, ``backup``."""
    return rows(binding, statement("versions"), _these(file_id))


def readers(binding: Binding, file_id: str) -> pd.DataFrame:
    """Return who read a file, latest first: ``reader, department, read_count, first_read, last_read, entry_point``."""
    return rows(binding, statement("readers"), _these(file_id))


def copies(binding: Binding, file_id: str) -> pd.DataFrame:
    """Return other files that hold a content of this one: ``file_name, file_path, owner, size, sha256``.

    At most `COPIES`, the largest first.
    """
    holders = rows(binding, statement("holders"), {**_these(file_id), "limit": COPIES})
    names = rows(binding, statement("names"), _these(*holders["file_id"]))
    return holders.merge(names, on="file_id")[["file_name", "file_path", "owner", "size", "sha256"]]


def is_demo(binding: Binding) -> bool:
    """Tell whether the people in this catalogue are those invented for the demo."""
    return number(binding, statement("demo"), {}) > 0


def pattern(search: str) -> str:
    """Return what finds a text anywhere in another by ``LIKE … ESCAPE '!'``."""
    for special in "!%_":  # `!` first: it is what escapes the others
        search = search.replace(special, f"!{special}")
    return f"%{display_text(search)}%"


def _these(*file_ids: str) -> dict[str, tuple[str, ...]]:
    return {"ids": file_ids or ("",)}  # SQL knows no empty list
