"""What the database says of all tables at once, so that DataJoint need not ask for each.

DataJoint learns a table's heading with seven statements when it is first used, and asks twice
for each schema whether it is there: a worker, which uses nearly all tables, would send some
seven hundred statements before its first row. `describe` sends six, and keeps the answers by
the statements that DataJoint would send; `Connection.query` gives them out. A statement that
another release of DataJoint words differently goes to the database, as does all on MariaDB,
which words defaults of columns in its own way.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

from schemas.engine import dj

Rows = Sequence[Mapping[str, Any]]
Known = dict[str, dict[tuple[Any, ...], Rows]]
"""Rows by statement and its arguments."""

# Each begins with what it is of, and goes on with what DataJoint's own statement gives, in its order.
_STATEMENTS = {
    "postgresql": {
        # Not the information schema, whose views take ten times as long for two hundred tables, but what they are made
        # of. Like them it shows a login what it has a right to.
        "table_info": """
            SELECT n.nspname AS table_schema, c.relname AS table_name, d.description AS table_comment
              FROM pg_catalog.pg_class AS c
              JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
              LEFT JOIN pg_catalog.pg_description AS d
                ON d.objoid = c.oid AND d.classoid = 'pg_catalog.pg_class'::regclass AND d.objsubid = 0
             WHERE n.nspname IN %s AND c.relkind IN ('r', 'v', 'f', 'p')
               AND (pg_has_role(c.relowner, 'USAGE') OR has_table_privilege(c.oid, 'DELETE, TRUNCATE, TRIGGER')
                    OR has_any_column_privilege(c.oid, 'SELECT, INSERT, UPDATE, REFERENCES'))
        """,
        "columns": """
            SELECT n.nspname AS table_schema, c.relname AS table_name, a.attname AS column_name,
                   CASE WHEN t.typelem <> 0 AND t.typlen = -1 THEN 'ARRAY'
                        WHEN t.typnamespace = 'pg_catalog'::regnamespace THEN format_type(a.atttypid, NULL)
                        ELSE 'USER-DEFINED' END AS data_type,
                   t.typname AS udt_name, CASE WHEN a.attnotnull THEN 'NO' ELSE 'YES' END AS is_nullable,
                   CASE WHEN a.attgenerated = '' THEN pg_get_expr(f.adbin, f.adrelid) END AS column_default,
                   information_schema._pg_char_max_length(a.atttypid, a.atttypmod) AS character_maximum_length,
                   information_schema._pg_numeric_precision(a.atttypid, a.atttypmod) AS numeric_precision,
                   information_schema._pg_numeric_scale(a.atttypid, a.atttypmod) AS numeric_scale,
                   d.description AS column_comment
              FROM pg_catalog.pg_attribute AS a
              JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
              JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
              JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
              LEFT JOIN pg_catalog.pg_attrdef AS f ON f.adrelid = c.oid AND f.adnum = a.attnum
              LEFT JOIN pg_catalog.pg_description AS d
                ON d.objoid = c.oid AND d.classoid = 'pg_catalog.pg_class'::regclass AND d.objsubid = a.attnum
             WHERE n.nspname IN %s AND c.relkind IN ('r', 'v', 'f', 'p') AND a.attnum > 0 AND NOT a.attisdropped
               AND (pg_has_role(c.relowner, 'USAGE')
                    OR has_column_privilege(c.oid, a.attnum, 'SELECT, INSERT, UPDATE, REFERENCES'))
             ORDER BY a.attnum
        """,
        "primary_key": """
            SELECT n.nspname AS table_schema, c.relname AS table_name, a.attname AS column_name
              FROM pg_catalog.pg_index AS i
              JOIN pg_catalog.pg_class AS c ON c.oid = i.indrelid
              JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
              JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = ANY(i.indkey)
             WHERE i.indisprimary AND n.nspname IN %s
        """,
        "indexes": """
            SELECT schemaname AS table_schema, tablename AS table_name, indexname, indexdef
              FROM pg_indexes WHERE schemaname IN %s
        """,
    },
    "mysql": {  # which writes names of columns in capitals unless they are given
        "table_info": """
            SELECT table_schema AS table_schema, table_name AS table_name, table_comment AS table_comment
              FROM information_schema.tables WHERE table_schema IN %s
        """,
        "columns": """
            SELECT table_schema AS table_schema, table_name AS table_name, column_name AS `Field`,
                   column_type AS `Type`, is_nullable AS `Null`, column_default AS `Default`,
                   column_comment AS `Comment`, column_key AS `Key`, extra AS `Extra`
              FROM information_schema.columns WHERE table_schema IN %s ORDER BY ordinal_position
        """,
        "primary_key": """
            SELECT table_schema AS table_schema, table_name AS table_name, column_name AS column_name
              FROM information_schema.statistics WHERE table_schema IN %s AND index_name = 'PRIMARY'
        """,
        "indexes": """
            SELECT table_schema AS table_schema, table_name AS table_name, index_name AS index_name,
                   column_name AS column_name, non_unique AS non_unique, seq_in_index AS seq_in_index
              FROM information_schema.statistics WHERE table_schema IN %s AND index_name <> 'PRIMARY'
             ORDER BY index_name, seq_in_index
        """,
    },
}
# As `datajoint.lineage.get_table_lineages` words it.
_LINEAGE = """
        SELECT attribute_name, lineage FROM {table}
        WHERE table_name = %s
        """


def describe(connection: dj.Connection, schemas: Sequence[str]) -> Known:
    """Return what DataJoint would ask about the schemas that this login sees, and the tables in them."""
    adapter = connection.adapter
    if adapter.backend == "mysql" and "MariaDB" in connection.query("SELECT VERSION()").fetchone()[0]:
        return {}
    known: Known = {}
    tables: set[tuple[str, str]] = set()
    for what, statement in _STATEMENTS[adapter.backend].items():
        found = _by_table(connection.query(statement, (tuple(schemas),)))
        tables = tables or set(found)
        word = getattr(adapter, f"get_{what}_sql")
        known |= {word(*table): {(): found.get(table, [])} for table in tables}
    for schema in {schema for schema, _ in tables}:
        known[adapter.schema_exists_sql(schema)] = {(): [{"schema_name": schema}]}
    with suppress(dj.errors.AccessError):  # a login without that right asks for each table, and learns it then
        known |= _lineages(connection, tables)
    return known


def _by_table(cursor: Any) -> dict[tuple[str, str], list[dict[str, Any]]]:
    names = [column[0] for column in cursor.description][2:]
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for schema, table, *values in cursor.fetchall():
        found.setdefault((schema, table), []).append(dict(zip(names, values, strict=True)))
    return found


def _lineages(connection: dj.Connection, tables: Collection[tuple[str, str]]) -> Known:
    """Return where the attributes of the tables come from, as far as their schemas keep it."""
    quote = connection.adapter.quote_identifier
    places = {schema: f"{quote(schema)}.{quote('~lineage')}" for schema, table in tables if table == "~lineage"}
    if not places:
        return {}
    parts = (
        f"SELECT '{schema}' AS table_schema, table_name, attribute_name, lineage FROM {place}"  # noqa: S608
        for schema, place in places.items()
    )
    found = _by_table(connection.query(" UNION ALL ".join(parts)))
    known: Known = {}
    for schema, table in tables:
        if schema in places:
            of_schema = known.setdefault(_LINEAGE.format(table=places[schema]), {})
            of_schema[(table,)] = found.get((schema, table), [])
    return known
