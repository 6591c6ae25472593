"""What the pages ask of the catalogue: plain functions over a binding, pandas frames back.

Aggregates, filters, order and paging are the database's work; a frame is as long as the
page that shows it. Names of tables come from their classes, everything a user typed goes in
as a parameter, so no text from outside becomes SQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from dashboard.statements import statement
from schemas.binding import Binding
from schemas.identity import display_text

STATES = ("backed up", "waiting", "failed")
SORTS = {
    "name": "LOWER(file_name)",
    "owner": "LOWER(owner)",
    "readers": "readers",
    "versions": "versions",
    "size": "size",
    "last read": "last_read",
}


def headline(binding: Binding) -> dict[str, int]:
    """Return the numbers over the pages: reads, people, files, versions, bytes read and kept, edges."""
    frame = _ask(binding, "headline")
    return {str(name): int(value or 0) for name, value in frame.iloc[0].items()}


def files(
    binding: Binding,
    *,
    search: str = "",
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
    state
        One of `STATES`, or empty for all.
    sort
        A key of `SORTS`.
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
    direction = "DESC" if descending else "ASC"
    page = _ask(
        binding,
        "files",
        {**_filters(search, state), "limit": limit, "offset": offset},
        order=f"{SORTS[sort]} {direction}, file_id {direction}",
    )
    shown = {"ids": tuple(page["file_id"]) or ("",)}
    readers = _ask(binding, "readers_of_files", shown)
    failures = _ask(binding, "failures_of_files", shown).groupby("file_id")["reason"].first()
    people = readers.groupby("file_id")["reader"].agg(list)
    page["readers"] = [people.get(file_id, []) for file_id in page["file_id"]]
    page["reason"] = [failures.get(file_id, "") for file_id in page["file_id"]]
    return page


def count_files(binding: Binding, *, search: str = "", state: str = "") -> int:
    """Return how many files `files` would find on all its pages."""
    return _number(binding, "count_files", _filters(search, state))


def file(binding: Binding, file_id: str) -> dict[str, Any] | None:
    """Return what is known of one file (name, path, owner, source system), or None."""
    rows = _ask(binding, "file", {"file_id": file_id}).to_dict("records")
    return {str(name): value for name, value in rows[0].items()} if rows else None


def versions(binding: Binding, file_id: str) -> pd.DataFrame:
    """Return a file's versions, latest first: ``first_read, last_read`` (UTC), ``size``, ``sha256``, ``backup``."""
    return _ask(binding, "versions", {"file_id": file_id})


def readers(binding: Binding, file_id: str) -> pd.DataFrame:
    """Return who read a file, latest first: ``reader, department, reads, first_read, last_read, entry_point``."""
    return _ask(binding, "readers", {"file_id": file_id})


def copies(binding: Binding, file_id: str) -> pd.DataFrame:
    """Return other files that hold a content of this one: ``file_name, file_path, owner, size, sha256``."""
    return _ask(binding, "copies", {"file_id": file_id})


def is_demo(binding: Binding) -> bool:
    """Tell whether the people in this catalogue are those invented for the demo."""
    return _number(binding, "demo") > 0


def _filters(search: str, state: str) -> dict[str, object]:
    for special in "!%_":  # `!` first: it is what escapes the others
        search = search.replace(special, f"!{special}")
    return {"search": f"%{display_text(search)}%", "state": state}


def _number(binding: Binding, name: str, values: Mapping[str, object] | None = None) -> int:
    return int(_ask(binding, name, values).to_numpy()[0, 0])


def _ask(binding: Binding, name: str, values: Mapping[str, object] | None = None, *, order: str = "") -> pd.DataFrame:
    """Run a statement of ``statements/`` and return its rows; the columns are there even without rows."""
    binding.ensure()
    cursor = binding.connection.query(statement(name, order=order), values or {})
    columns = [column[0].removesuffix("_") for column in cursor.description]
    return pd.DataFrame(cursor.fetchall(), columns=columns)
