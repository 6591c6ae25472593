"""Which of many files are beyond doubt as they were: three statements for a portion of them.

Of a share that was taken in nearly all files are as they were, and of nearly all there has been one
version only. That much the database tells at once; whatever else there may be to a file is looked
into closely (`populate.adopt.survey`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from populate.adopt.tables import AdoptFile
from schemas.catalogue import FileGone, Version

_ONLY = "SELECT file_id, MIN(revision) FROM {} WHERE {} GROUP BY file_id HAVING COUNT(*) = 1"
_FOUND = "SELECT file_id FROM {} WHERE root_id = %s AND {}"
_GONE = "SELECT file_id FROM {} WHERE {}"
_AMONG = "file_id = ANY(string_to_array(%s, ',')::char(32)[])"  # one text: thousands of values take longer to parse


def unchanged(root_id: str, revisions: Mapping[str, str]) -> set[str]:
    """Return which files have the revision of their only version, were found below the root, and never were gone.

    Each table is asked by itself: joined with what was found below a root that is new, of which the database does not
    know yet how much that is, thousands of files took it minutes.

    Parameters
    ----------
    revisions
        By file the token of its revision, as its source tells it now.
    """
    only = _rows(_ONLY, Version(), list(revisions))
    same = [file_id for file_id, revision in only if revisions[file_id] == revision]
    found = {file_id for (file_id,) in _rows(_FOUND, AdoptFile(), same, root_id)}
    return found - {file_id for (file_id,) in _rows(_GONE, FileGone(), same)}


def _rows(statement: str, table: Any, files: Sequence[str], *before: str) -> list[tuple[str, ...]]:
    """Return what a statement about some files gives."""
    if not files:
        return []
    if table.adapter.backend == "postgresql":
        among, arguments = _AMONG, [",".join(files)]
    else:
        among, arguments = f"file_id IN ({', '.join(['%s'] * len(files))})", [*files]
    return list(table.connection.query(statement.format(table.full_table_name, among), args=(*before, *arguments)))


def number_below(root_id: str) -> int:
    """Return how many files were ever found below a root."""
    statement = f"SELECT COUNT(*) FROM {AdoptFile().full_table_name} WHERE root_id = %s"  # noqa: S608
    ((number,),) = AdoptFile().connection.query(statement, args=(root_id,))
    return int(number)


def pages_below(root_id: str, size: int) -> Iterator[list[str]]:
    """Yield the files that were ever found below a root, `size` at a time, in order."""
    table, last = AdoptFile(), ""
    statement = (
        f"SELECT file_id FROM {table.full_table_name} WHERE root_id = %s AND file_id > %s"  # noqa: S608
        " ORDER BY file_id LIMIT %s"
    )
    while page := [file_id for (file_id,) in table.connection.query(statement, args=(root_id, last, size))]:
        yield page
        last = page[-1]
