"""How DataJoint talks to the two drivers, mended where 2.3.5 falls short.

- A connection that broke is reported as such: DataJoint on PostgreSQL sees it only when the
  server said goodbye, and its ping never fails.
- TLS checks the server's certificate and name; DataJoint knows no way to say so on PostgreSQL
  and does not switch it on on MySQL.
- Each connection speaks UTC and has the memory that antijoins need, after a reconnect too. On
  PostgreSQL a transaction sees what others commit meanwhile, whatever the server is set to:
  whoever waited for a lock has to see what its holder did.
- Others can see whether a session lives, on MySQL too.
- Either side notices within minutes that the other one is gone without a word, as after a power
  cut; systems wait for two hours.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.extensions
import pymysql

from data_platform.errors import DatabaseUnavailable
from data_platform.settings import DatabaseSettings
from schemas.engine import dj

from datajoint.adapters import MySQLAdapter, PostgreSQLAdapter  # isort: skip  (after the quiet import)

CONNECT_SECONDS = 10
ALIVE_SECONDS = 60  # of silence before the other side is asked for a sign of life
ALIVE_AGAIN_SECONDS = 15  # between two such questions
ALIVE_TIMES = 4  # of these without an answer: it is gone
UNHEARD_SECONDS = 180  # during which nothing that was sent has been confirmed: it is gone, too
DRIVER_ERRORS = (psycopg2.Error, pymysql.Error)

_SESSION = (
    "SET TIME ZONE 'UTC'; SET standard_conforming_strings = on; "
    "SET default_transaction_isolation = 'read committed'; "
    "SELECT set_config('work_mem', '64MB', false) "
    "WHERE pg_size_bytes(current_setting('work_mem')) < pg_size_bytes('64MB'); "
    f"SET tcp_keepalives_idle = {ALIVE_SECONDS}; SET tcp_keepalives_interval = {ALIVE_AGAIN_SECONDS}; "
    f"SET tcp_keepalives_count = {ALIVE_TIMES}; SET tcp_user_timeout = {UNHEARD_SECONDS * 1000}"
)
# A login sees no other login's sessions on MySQL, but everybody may ask whether somebody holds a
# lock. So each session holds one with its number, and gives it back whichever way it ends.
SESSION_LOCK = "CONCAT('data_platform_session_', {number})"
_SESSION_MYSQL = f"SET time_zone = '+00:00', @held = GET_LOCK({SESSION_LOCK.format(number='CONNECTION_ID()')}, 0)"
# cannot connect now, crash or administrator's shutdown, session idle for too long, connection exceptions
_LOST_POSTGRESQL = ("57P", "25P03", "08")
# shutdown, killed (MariaDB), gone, lost, idle for too long
_LOST_MYSQL = (1053, 1927, 2006, 2013, 4031)


class ConnectionLost(DatabaseUnavailable, dj.errors.LostConnectionError):
    """The connection to the database broke; what had not been committed is undone."""


@dataclass(frozen=True, slots=True)
class Target:
    """A database to connect to; `authority` is the file of certificates to check it with, None = no TLS."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str | None
    authority: Path | None = None


def target(settings: DatabaseSettings) -> Target:
    """Return the server that the settings name."""
    postgresql = settings.backend == "postgresql"
    secured = settings.tls and (settings.tls_ca is not None or not _is_local(settings.host))
    return Target(
        host=settings.host,
        port=settings.port or (5432 if postgresql else 3306),
        user=settings.user,
        password=settings.password.get_secret_value(),
        database=settings.name if postgresql else None,
        authority=(settings.tls_ca or _system_authority()) if secured else None,
    )


def _is_local(host: str) -> bool:
    if host.startswith("/") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _system_authority() -> Path:
    import certifi

    return Path(ssl.get_default_verify_paths().cafile or certifi.where())


class PostgreSQL(PostgreSQLAdapter):
    """DataJoint's adapter for PostgreSQL, mended."""

    errors = psycopg2.Error

    def open(self, target: Target) -> Any:
        """Return a new connection. Raises what the driver raises."""
        connection = psycopg2.connect(
            host=target.host,
            port=target.port,
            user=target.user,
            password=target.password,
            dbname=target.database,
            sslmode="verify-full" if target.authority else "disable",
            sslrootcert=str(target.authority or ""),
            gssencmode="disable",
            connect_timeout=CONNECT_SECONDS,
            keepalives=1,
            keepalives_idle=ALIVE_SECONDS,
            keepalives_interval=ALIVE_AGAIN_SECONDS,
            keepalives_count=ALIVE_TIMES,
            tcp_user_timeout=UNHEARD_SECONDS * 1000,
            application_name="data-platform",
        )
        connection.autocommit = True
        connection.set_client_encoding("UTF8")
        with connection.cursor() as cursor:
            cursor.execute(_SESSION)
        self._register_numpy_adapters()
        return connection

    def is_broken(self, connection: Any) -> bool:
        """Return whether the driver knows already that the connection is over."""
        return bool(connection.closed)

    def give_up(self, connection: Any) -> None:
        """End a session in whose midst a signal came: this driver answers signals between statements only."""

    def ping(self, connection: Any) -> bool:
        """Ask the server for a sign of life. Raises what the driver raises if there is none."""
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except psycopg2.errors.InFailedSqlTransaction:
            pass  # an answer too
        return True

    def translate_error(self, error: Exception, query: str = "") -> Exception:
        """Tell a lost connection from an error of the statement."""
        if isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError):
            code = error.pgcode
            if code is None or code.startswith(_LOST_POSTGRESQL):
                return ConnectionLost(_lost(error))
        translated: Exception = super().translate_error(error, query)
        return translated


class MySQL(MySQLAdapter):
    """DataJoint's adapter for MySQL, mended."""

    errors = pymysql.Error

    def open(self, target: Target) -> Any:
        """Return a new connection. Raises what the driver raises."""
        where = {"unix_socket": target.host} if target.host.startswith("/") else {"host": target.host}
        checks: dict[str, Any] = {"ssl_disabled": True}
        if target.authority:
            checks = {"ssl_ca": str(target.authority), "ssl_verify_cert": True, "ssl_verify_identity": True}
        connection = pymysql.connect(
            **where,
            port=target.port,
            user=target.user,
            password=target.password.encode(),
            charset="utf8mb4",
            sql_mode="NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,"
            "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ONLY_FULL_GROUP_BY",  # as DataJoint has it
            init_command=_SESSION_MYSQL,
            connect_timeout=CONNECT_SECONDS,
            autocommit=True,
            **checks,
        )
        if not target.host.startswith("/"):
            _watch_over(connection._sock)
        return connection

    def is_broken(self, connection: Any) -> bool:
        """Return whether the driver knows already that the connection is over."""
        return not connection.open

    def give_up(self, connection: Any) -> None:
        """End a session in whose midst a signal came: the next statement would read what is left of its answer."""
        connection._force_close()

    def ping(self, connection: Any) -> bool:
        """Ask the server for a sign of life. Raises what the driver raises if there is none."""
        connection.ping(reconnect=False)
        return True

    def translate_error(self, error: Exception, query: str = "") -> Exception:
        """Tell a lost connection from an error of the statement."""
        translated: Exception = super().translate_error(error, query)
        lost = isinstance(translated, dj.errors.LostConnectionError)
        if lost or (isinstance(error, pymysql.Error) and error.args and error.args[0] in _LOST_MYSQL):
            return ConnectionLost(_lost(error))
        return translated


def _watch_over(connected: socket.socket) -> None:
    """Have this system ask for signs of life; the driver has switched that on, but after two hours."""
    for name, value in (
        ("TCP_KEEPIDLE", ALIVE_SECONDS),
        ("TCP_KEEPALIVE", ALIVE_SECONDS),  # macOS calls it so
        ("TCP_KEEPINTVL", ALIVE_AGAIN_SECONDS),
        ("TCP_KEEPCNT", ALIVE_TIMES),
        ("TCP_USER_TIMEOUT", UNHEARD_SECONDS * 1000),
    ):
        if (option := getattr(socket, name, None)) is not None:
            connected.setsockopt(socket.IPPROTO_TCP, option, value)


def cut(connection: Any) -> None:
    """Break a connection off on which another thread waits for an answer: that thread gets the driver's error."""
    connected = connection.fileno() if isinstance(connection, psycopg2.extensions.connection) else connection._sock
    with socket.socket(fileno=os.dup(connected if isinstance(connected, int) else connected.fileno())) as same:
        same.shutdown(socket.SHUT_RDWR)


def _lost(error: Exception) -> str:
    said = str(error).strip() or "no reason given"
    return f"The connection to the database was lost ({said}). Repeat what was being done."
