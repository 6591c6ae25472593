"""The tables of tests, on either kind of server: declared once a session, emptied after each test."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from graphlib import TopologicalSorter
from typing import Any

import psycopg2

from schemas.connection import Connection
from schemas.described import Known, describe
from schemas.postmaster import Address
from servers.mysql import MySQLServer


class _Described:
    """Remembers from one test to the next what the tables look like: it is the same but for the prefix.

    Attributes
    ----------
    prefix
        Of the tables' schemas in this test.
    """

    prefix = ""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], tuple[str, Known]] = {}

    def describe(self, connection: Connection, schemas: Sequence[str]) -> Known:
        """Return what `schemas.described.describe` does, as whoever owns the tables sees it."""
        own = connection.conn_info["user"] == self.owner and all(name.startswith(f"{self.prefix}_") for name in schemas)
        if not own:
            return describe(connection, schemas)
        names = tuple(name.removeprefix(self.prefix) for name in schemas)
        if names not in self._known:
            self._known[names] = self.prefix, describe(connection, schemas)
        before, known = self._known[names]
        return known if before == self.prefix else _renamed(known, before, self.prefix)

    @property
    def owner(self) -> str:
        """The login that the settings of a test name."""
        raise NotImplementedError


def _renamed(known: Known, before: str, now: str) -> Known:
    def renamed(row: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value.replace(before, now) if isinstance(value, str) else value for name, value in row.items()}

    return {
        statement.replace(before, now): {of: [renamed(row) for row in rows] for of, rows in answers.items()}
        for statement, answers in known.items()
    }


class PostgreSQLTables(_Described):
    """Tables on PostgreSQL, which get another name for each test: no process of an earlier one finds them."""

    def __init__(self, address: Address) -> None:
        super().__init__()
        self.address = address

    @property
    def owner(self) -> str:
        return self.address.user

    def renew(self) -> dict[str, str]:
        """Return the settings of the database for the next test."""
        prefix = f"t{secrets.token_hex(6)}"
        if self.prefix:
            with self._cursor() as cursor:
                for name in self._names(cursor):
                    cursor.execute(f'ALTER SCHEMA "{name}" RENAME TO "{name.replace(self.prefix, prefix)}"')
        self.prefix = prefix
        address = self.address
        return {
            "backend": "postgresql",
            "host": address.host,
            "port": str(address.port),
            "user": address.user,
            "password": address.password,
            "name": address.database,
            "prefix": self.prefix,
        }

    def clear(self, kept: set[str]) -> None:
        """Empty the tables of the schemas `kept`; drop what a test added."""
        with self._cursor() as cursor:
            cursor.execute("SET lock_timeout = '60s'")
            self._send_away(cursor)
            for name in self._names(cursor) - kept:
                cursor.execute(f'DROP SCHEMA "{name}" CASCADE')
            for table in filled(cursor, self._referring_first(cursor, kept)):
                cursor.execute(f"DELETE FROM {table}")

    def _referring_first(self, cursor: Any, kept: set[str]) -> list[str]:
        """Return the tables, each after those with foreign keys that lead to it."""
        cursor.execute("SELECT schemaname, tablename FROM pg_tables WHERE schemaname = ANY(%s)", ([*kept],))
        tables = {f'"{s}"."{t}"' for s, t in cursor.fetchall() if holds_data(t)}
        cursor.execute(
            """SELECT '"' || n.nspname || '"."' || c.relname || '"', '"' || m.nspname || '"."' || r.relname || '"'"""
            " FROM pg_constraint AS k"
            " JOIN pg_class AS c ON c.oid = k.conrelid JOIN pg_class AS r ON r.oid = k.confrelid"
            " JOIN pg_namespace AS n ON n.oid = c.relnamespace JOIN pg_namespace AS m ON m.oid = r.relnamespace"
            " WHERE k.contype = 'f' AND n.nspname = ANY(%s) AND k.conrelid <> k.confrelid",
            ([*kept],),
        )
        order = TopologicalSorter(dict.fromkeys(tables, ()))
        for referring, table in cursor.fetchall():
            order.add(table, referring)
        return [table for table in order.static_order() if table in tables]

    def _send_away(self, cursor: Any) -> None:
        cursor.execute(
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'data-platform' AND pid <> pg_backend_pid()"
        )

    def _names(self, cursor: Any) -> set[str]:
        cursor.execute("SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s)", (f"{self.prefix}_",))
        return {name for (name,) in cursor.fetchall()}

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        with (
            closing(psycopg2.connect(**self.address.arguments())) as connection,
            connection,
            connection.cursor() as cursor,
        ):
            yield cursor


class MySQLTables(_Described):
    """Tables on MySQL, which cannot rename schemas: each test has a login of its own, and it ends with the test."""

    def __init__(self, server: MySQLServer) -> None:
        super().__init__()
        self.server = server
        self.prefix = f"t{secrets.token_hex(6)}"
        self.login = ""

    @property
    def owner(self) -> str:
        return self.login

    def renew(self) -> dict[str, str]:
        """Return the settings of the database for the next test."""
        self.login, password = f"u{secrets.token_hex(6)}", secrets.token_hex(16)
        with self._cursor() as cursor:
            cursor.execute(f"CREATE USER {self.login} IDENTIFIED BY '{password}'")
            cursor.execute(rf"GRANT ALL ON `{self.prefix}\_%`.* TO {self.login}")
        return {
            "backend": "mysql",
            "host": self.server.host,
            "port": str(self.server.port),
            "user": self.login,
            "password": password,
            "prefix": self.prefix,
        }

    def clear(self, kept: set[str]) -> None:
        """Empty the tables of the schemas `kept`; drop what a test added."""
        with self._cursor() as cursor:
            self._send_away(cursor)
            for name in self._names(cursor) - kept:
                cursor.execute(f"DROP DATABASE `{name}`")
            cursor.execute("SET foreign_key_checks = 0")
            cursor.execute(
                "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema IN %s",
                (tuple(kept),),
            )
            for table in filled(cursor, [f"`{s}`.`{t}`" for s, t in cursor.fetchall() if holds_data(t)]):
                cursor.execute(f"DELETE FROM {table}")

    def _send_away(self, cursor: Any) -> None:
        cursor.execute(f"DROP USER {self.login}")
        cursor.execute("SELECT id FROM information_schema.processlist WHERE user = %s", (self.login,))
        for (number,) in cursor.fetchall():
            try:
                cursor.execute(f"KILL {number}")
            except self.server.errors:  # it went by itself
                continue

    def _names(self, cursor: Any) -> set[str]:
        cursor.execute("SELECT schema_name FROM information_schema.schemata")
        return {name for (name,) in cursor.fetchall() if name.startswith(f"{self.prefix}_")}

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        with self.server.connect() as connection, connection.cursor() as cursor:
            yield cursor


def holds_data(table: str) -> bool:
    """Tell whether rows of a table are a test's: those of Lookup tables, of versions and DataJoint's own stay."""
    return not table.startswith("#") and table not in ("release", "~lineage")


def filled(cursor: Any, tables: Sequence[str]) -> list[str]:
    """Return the tables with rows: emptying one that is empty costs as much as asking for all of them."""
    if not tables:
        return []
    cursor.execute(f"SELECT {', '.join(f'EXISTS (SELECT 1 FROM {table})' for table in tables)}")
    return [table for table, found in zip(tables, cursor.fetchone(), strict=True) if found]
