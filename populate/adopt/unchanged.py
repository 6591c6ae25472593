"""Which of many files are beyond doubt as they were: one statement for a portion of them.

Of a share that was taken in nearly all files are as they were, and of nearly all there has been one
version only. That much the database tells at once; whatever else there may be to a file is looked
into closely (`populate.adopt.survey`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from populate.adopt.tables import AdoptFile
from schemas.catalogue import FileGone, Version

_LATEST = """
SELECT v.file_id, MIN(v.revision)
  FROM {version} AS v
  JOIN {found} AS f ON f.file_id = v.file_id AND f.root_id = %s
  LEFT JOIN {gone} AS g ON g.file_id = v.file_id
 WHERE v.file_id {among} AND g.file_id IS NULL
 GROUP BY v.file_id HAVING COUNT(*) = 1
"""
_AMONG = "= ANY(string_to_array(%s, ',')::char(32)[])"  # one text: thousands of values take longer to put in and parse


def unchanged(root_id: str, revisions: Mapping[str, str]) -> set[str]:
    """Return which files have the revision of their only version, were found below the root, and never were gone.

    Parameters
    ----------
    revisions
        By file the token of its revision, as its source tells it now.
    """
    if not revisions:
        return set()
    tables: dict[str, Any] = {"version": Version(), "found": AdoptFile(), "gone": FileGone()}
    names = {name: table.full_table_name for name, table in tables.items()}
    if tables["version"].adapter.backend == "postgresql":
        among, arguments = _AMONG, [",".join(revisions)]
    else:
        among, arguments = f"IN ({', '.join(['%s'] * len(revisions))})", [*revisions]
    statement = _LATEST.format(among=among, **names)
    rows = tables["version"].connection.query(statement, args=(root_id, *arguments))
    return {file_id for file_id, revision in rows if revisions[file_id] == revision}


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
