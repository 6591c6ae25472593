"""What the table definitions of this release say, compared with what a database holds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from data_platform.errors import SchemaMismatch
from schemas.engine import dj
from schemas.starts import make_index

Named = Sequence[tuple[str, dj.Schema]]  # name of the schema in the database, and its tables
_ATTRIBUTE = re.compile(r"^([a-z]\w*)\s*(=[^:]*)?:")
_SET_BY_SCHEMA = ("database", "_connection", "_heading", "_support", "declaration_context")

_COLUMNS = {
    # Not the information schema: it hides tables that the account has no right to.
    "postgresql": (
        "SELECT n.nspname, c.relname, a.attname FROM pg_catalog.pg_attribute a "
        "JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname IN %s AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped"
    ),
    "mysql": "SELECT table_schema, table_name, column_name FROM information_schema.columns WHERE table_schema IN %s",
}


def tables(schema: dj.Schema) -> Iterator[Any]:
    """Return the table classes of a schema, each followed by its parts."""
    for master, _ in schema.declare_list:
        yield master
        value: Any
        for value in list(vars(master).values()):
            if isinstance(value, type) and issubclass(value, dj.Part):
                setattr(value, "_master", master)  # noqa: B010  (else only activation tells a part its name)
                yield value


def attributes(definition: str) -> list[str]:
    """Return the names of the attributes that a definition spells out, not those of its foreign keys."""
    lines = (line.strip() for line in definition.splitlines())
    return [match[1] for match in map(_ATTRIBUTE.match, lines) if match]


def missing(connection: dj.Connection, schemas: Named) -> list[str]:
    """Return the tables that the database does not hold, jobs tables included.

    Raises
    ------
    SchemaMismatch
        If a table is there and lacks an attribute.
    """
    present = _columns(connection, [name for name, _ in schemas])
    absent = []
    for name, schema in schemas:
        for table in tables(schema):
            held = present.get((name, table.table_name))
            if held is None and connection.adapter.backend == "mysql" and issubclass(table, dj.Lookup):
                continue  # hidden from logins that have no right to it; other tables refer to it, so it is there
            if held is None:
                absent.append(f"{name}.{table.table_name}")
            elif lacking := [attribute for attribute in attributes(table.definition) if attribute not in held]:
                raise SchemaMismatch(
                    f"{name}.{table.table_name} has no {', '.join(lacking)}: it was made by another release. "
                    "Use that release, or name another `database.prefix`."
                )
        jobs = (jobs_table(table) for table in tables(schema) if issubclass(table, dj.AutoPopulate))
        absent += [f"{name}.{jobs_name}" for jobs_name in jobs if (name, jobs_name) not in present]
    return absent


def jobs_table(table: Any) -> str:
    """Return the name of the table that holds the jobs of a computed or imported table."""
    return f"~~{table.table_name.lstrip('_')}"


def _columns(connection: dj.Connection, schemas: Sequence[str]) -> Mapping[tuple[str, str], set[str]]:
    held: dict[tuple[str, str], set[str]] = {}
    for schema, table, column in connection.query(_COLUMNS[connection.adapter.backend], (tuple(schemas),)):
        held.setdefault((schema, table), set()).add(column)
    return held


def declare(connection: dj.Connection, name: str, schema: dj.Schema) -> None:
    """Bind a schema's tables to the database and make what is missing, tables of jobs and indexes included."""
    if connection.adapter.backend == "mysql":
        connection.query(f"CREATE DATABASE IF NOT EXISTS `{name}`")
        # An empty database may be there already: whoever runs the server made it and granted it.
        connection.query(f"ALTER DATABASE `{name}` CHARACTER SET utf8mb4 COLLATE {collation(connection)}")
    release(schema)  # an activated schema would not look for missing tables
    schema.activate(name, connection=connection, create_schema=True, create_tables=True)
    for table in tables(schema):
        for column in getattr(table, "starts", ()):
            make_index(connection, name, table.table_name, column)
        if issubclass(table, dj.AutoPopulate):
            table().jobs  # noqa: B018  (the first touch makes the table)


def add_text(connection: dj.Connection, schema: str, table: Any, *columns: str) -> None:
    """Add columns for text, as the table's definition has them, where they are missing; they begin empty."""
    held = _columns(connection, [schema])[(schema, table.table_name)]
    for column in columns:
        match = re.search(rf"^\s*{column}='' : varchar\((\d+)\) # (.*)$", table.definition, re.MULTILINE)
        assert match is not None  # whoever adds a column has defined it
        if column in held:
            continue
        quote = connection.adapter.quote_identifier
        place, note = f"{quote(schema)}.{quote(table.table_name)}", f":varchar({match[1]}):{match[2]}"
        text = f"ALTER TABLE {place} ADD COLUMN {quote(column)} varchar({match[1]}) NOT NULL DEFAULT ''"
        if connection.adapter.backend == "mysql":
            connection.query(f"{text} COMMENT %s", (note,))
        else:
            connection.query(text)
            connection.query(f"COMMENT ON COLUMN {place}.{quote(column)} IS %s", (note,))


@contextmanager
def quickly(connection: dj.Connection, name: str) -> Iterator[None]:
    """Wait for the disk once for the whole block, not after each of some two hundred statements."""
    if connection.adapter.backend != "postgresql":
        yield
        return
    connection.query("SET synchronous_commit = off")
    try:
        yield
    finally:
        connection.query("SET synchronous_commit TO DEFAULT")
    connection.query(f"COMMENT ON SCHEMA {connection.adapter.quote_identifier(name)} IS 'data-platform'")  # waits


def collation(connection: dj.Connection) -> str:
    """Return the collation of MySQL, or MariaDB, that tells texts apart as PostgreSQL does.

    The usual one takes ``Plate.csv`` for ``plate.csv``, accents for none, and ignores control
    characters; older binary ones ignore blanks at the end.
    """
    (version,) = connection.query("SELECT VERSION()").fetchone()
    return "utf8mb4_nopad_bin" if "MariaDB" in version else "utf8mb4_0900_bin"


def activate(connection: dj.Connection, name: str, schema: dj.Schema) -> None:
    """Bind a schema's tables to the database, which holds all of them: `missing` has said so.

    DataJoint would ask for each table whether it is there, some two hundred times for a process
    that wants to read one row; and its only use for the answer is to complete Lookup tables.
    """
    bound = list(tables(schema))
    for table in bound:
        table.is_declared = issubclass(table, dj.Lookup) and _lacks_contents(connection, name, table)
    try:
        schema.activate(name, connection=connection, create_schema=False, create_tables=False)
    finally:
        for table in bound:
            del table.is_declared  # the property is seen again


def _lacks_contents(connection: dj.Connection, name: str, table: Any) -> bool:
    """Tell whether a Lookup table, if this login can see it, has fewer rows than this release defines."""
    contents = len(list(getattr(table, "contents", ())))
    if not contents or not connection.query(connection.adapter.get_table_info_sql(name, table.table_name)).rowcount:
        return False
    place = connection.adapter.make_full_table_name(name, table.table_name)
    (rows,) = connection.query(f"SELECT COUNT(*) FROM {place}").fetchone()  # noqa: S608
    return int(rows) < contents


def release(schema: dj.Schema) -> None:
    """Undo an activation, so that the module's tables can be bound elsewhere.

    Until then they keep their connection, which says what to do once it is closed.
    """
    schema.database = None
    schema.connection = None
    for table in tables(schema):
        if table.__doc__:
            table.__doc__ = table.__doc__.removesuffix("\nTable definition:\n\n" + table.definition) or None


def forget(schema: dj.Schema) -> None:
    """Undo an activation that failed half way, so that nothing goes through to a living connection."""
    release(schema)
    for table in tables(schema):
        for name in _SET_BY_SCHEMA:
            with suppress(AttributeError):
                delattr(table, name)
