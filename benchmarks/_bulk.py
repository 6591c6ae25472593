"""Loads rows by the million: by COPY or LOAD DATA, with the secondary indexes and foreign keys made afterwards."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg2
import pymysql

from schemas.binding import Binding
from schemas.drivers import target

AT_ONCE = 500_000  # rows in a file for LOAD DATA


class Loader:
    """Loads rows into the tables of a binding, over a connection of its own."""

    def __init__(self, binding: Binding) -> None:
        self._mysql = binding.backend == "mysql"
        self._connection = self._connect(binding)
        self._connection.autocommit = True
        if self._mysql:
            self._run("SET foreign_key_checks = 0, unique_checks = 0, innodb_ddl_buffer_size = 268435456")
        else:
            self._run("SET maintenance_work_mem = '512MB'; SET synchronous_commit = off")

    def _connect(self, binding: Binding) -> Any:
        if self._mysql:
            found = target(binding.settings.database)
            account = {"host": found.host, "port": found.port, "user": found.user, "password": found.password}
            return pymysql.connect(**account, charset="utf8mb4", autocommit=True, local_infile=True)
        address = binding._server.start() if binding._server else None
        if address is None:
            raise RuntimeError("On PostgreSQL only the embedded database is filled.")
        return psycopg2.connect(**address.arguments())

    def close(self) -> None:
        """Let the database know how its tables look now, and disconnect."""
        if not self._mysql:
            self._run("VACUUM ANALYZE")
        self._connection.close()

    def load(self, table: Any, columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> None:
        """Add rows to a table class of the binding."""
        name = table().full_table_name
        lines = ("\t".join(map(str, row)) + "\n" for row in rows)
        with self._bare(name):
            if self._mysql:
                self._load_mysql(name, columns, lines)
            else:
                with self._connection.cursor() as cursor:
                    cursor.copy_expert(f"COPY {name} ({', '.join(columns)}) FROM STDIN", _Lines(lines))
        if self._mysql:
            self._run(f"ANALYZE TABLE {name}")

    def _load_mysql(self, name: str, columns: tuple[str, ...], lines: Iterator[str]) -> None:
        while True:
            with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file:
                count = 0
                for count, line in enumerate(lines, start=1):
                    file.write(line)
                    if count == AT_ONCE:
                        break
                file.flush()
                self._run(f"LOAD DATA LOCAL INFILE '{file.name}' INTO TABLE {name} ({', '.join(columns)})")
            if count < AT_ONCE:
                return

    @contextmanager
    def _bare(self, name: str) -> Iterator[None]:
        """Take what makes loading slow away from a table for the length of a block."""
        again = self._strip_mysql(name) if self._mysql else self._strip_postgresql(name)
        yield
        for statement in again:
            self._run(statement)

    def _strip_postgresql(self, name: str) -> list[str]:
        again = []
        for constraint, definition in self._run(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass"
            " AND contype = 'f'",
            name,
        ):
            self._run(f'ALTER TABLE {name} DROP CONSTRAINT "{constraint}"')
            again.append(f'ALTER TABLE {name} ADD CONSTRAINT "{constraint}" {definition}')
        for index, definition in self._run(
            "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
            " WHERE indrelid = %s::regclass AND NOT indisprimary",
            name,
        ):
            self._run(f"DROP INDEX {index}")
            again.append(definition)
        return again

    def _strip_mysql(self, name: str) -> list[str]:
        """Indexes that foreign keys need have to stay."""
        found = self._run(
            "SELECT index_name, GROUP_CONCAT(CONCAT('`', column_name, '`') ORDER BY seq_in_index)"
            " FROM information_schema.statistics WHERE CONCAT('`', table_schema, '`.`', table_name, '`') = %s"
            " AND index_name <> 'PRIMARY' AND non_unique GROUP BY index_name"
            " HAVING COUNT(*) = COUNT(column_name)",  # one of an expression has no column, and stays
            name,
        )
        again = []
        for index, columns in found:
            with suppress(pymysql.OperationalError):
                self._run(f"ALTER TABLE {name} DROP INDEX `{index}`")
                again.append(f"ADD INDEX `{index}` ({columns})")
        return [f"ALTER TABLE {name} {', '.join(again)}"] if again else []

    def _run(self, statement: str, *values: str) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return list(cursor.fetchall()) if cursor.description else []


class _Lines(io.TextIOBase):
    """Lines as the file that COPY reads."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._rest = ""

    def read(self, size: int | None = -1) -> str:
        """Return about `size` characters, none at the end."""
        pieces, length = [self._rest], len(self._rest)
        while size is None or size < 0 or length < size:
            line = next(self._lines, "")
            if not line:
                break
            pieces.append(line)
            length += len(line)
        text = "".join(pieces)
        self._rest = text[size:] if size is not None and size >= 0 else ""
        return text[: len(text) - len(self._rest)]
