"""Indexes by which a text is found from how it starts, without regard to case.

A table names such columns in an attribute ``starts``: a definition cannot say it, for the two
backends write it differently. MariaDB has no indexes of expressions; it answers the same, by
looking at every row.
"""

from __future__ import annotations

from schemas.engine import dj

LENGTH = 128  # characters in the index: a whole name may be longer than an index takes

_START = {
    # By code point, as MySQL's collation does; the database's own order may be that of a language.
    "postgresql": '(LOWER(LEFT({column}, {length})) COLLATE "C")',
    "mysql": "LOWER(LEFT({column}, {length}))",
}


def start_of(backend: str, column: str) -> str:
    """Return the expression that is in the index of a column, as SQL of a backend."""
    return _START[backend].format(column=column, length=LENGTH)


def between(text: str) -> tuple[str, str]:
    """Return the first start that belongs to `text`, and the first after all of these; compare them in lower case."""
    beginning = text[:LENGTH]
    return beginning, f"{beginning}\U0010ffff"


def make_index(connection: dj.Connection, schema: str, table: str, column: str) -> None:
    """Let texts in a column be found by their start, if the database can do that; twice is once."""
    name, expression = f"{table}_{column}_start", start_of(connection.adapter.backend, column)
    if connection.adapter.backend == "postgresql":
        connection.query(f'CREATE INDEX IF NOT EXISTS "{name}" ON "{schema}"."{table}" ({expression})')
        return
    (version,) = connection.query("SELECT VERSION()").fetchone()
    (present,) = connection.query(
        "SELECT COUNT(*) FROM information_schema.statistics"
        " WHERE table_schema = %s AND table_name = %s AND index_name = %s",
        (schema, table, name),
    ).fetchone()
    if "MariaDB" not in version and not present:
        connection.query(f"ALTER TABLE `{schema}`.`{table}` ADD INDEX `{name}` (({expression}))")
