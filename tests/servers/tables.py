"""The tables of tests, on either kind of server: declared once a session, emptied after each test."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2

from schemas.postmaster import Address
from servers.mysql import MySQLServer


class PostgreSQLTables:
    """Tables on PostgreSQL, which get another name for each test: no process of an earlier one finds them."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.prefix = ""

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
            for name in self._names(cursor) - kept:
                cursor.execute(f'DROP SCHEMA "{name}" CASCADE')
            cursor.execute("SELECT schemaname, tablename FROM pg_tables WHERE schemaname = ANY(%s)", ([*kept],))
            tables = [f'"{s}"."{t}"' for s, t in cursor.fetchall() if holds_data(t)]
            if tables:
                cursor.execute(f"TRUNCATE {', '.join(tables)} CASCADE")

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


class MySQLTables:
    """Tables on MySQL, which cannot rename schemas: each test has a login of its own, and it ends with the test."""

    def __init__(self, server: MySQLServer) -> None:
        self.server = server
        self.prefix = f"t{secrets.token_hex(6)}"
        self.login = ""

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
            for table in self._filled(cursor, kept):
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

    def _filled(self, cursor: Any, kept: set[str]) -> list[str]:
        """Return the tables with rows: emptying one that is empty costs as much as asking for all of them."""
        cursor.execute(
            "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema IN %s", (tuple(kept),)
        )
        tables = [f"`{schema}`.`{table}`" for schema, table in cursor.fetchall() if holds_data(table)]
        if not tables:
            return []
        cursor.execute(" UNION ALL ".join(f"SELECT '{table}', EXISTS (SELECT 1 FROM {table})" for table in tables))
        return [table for table, filled in cursor.fetchall() if filled]

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        with self.server.connect() as connection, connection.cursor() as cursor:
            yield cursor


def holds_data(table: str) -> bool:
    """Tell whether rows of a table are a test's: those of Lookup tables, of versions and DataJoint's own stay."""
    return not table.startswith("#") and table not in ("release", "~lineage")
