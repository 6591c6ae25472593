"""A company's database server: an owner who deploys, and logins that are given roles."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_platform.settings import Settings, load
from schemas import cluster, installation
from schemas.drivers import MySQL, PostgreSQL, target
from schemas.embedded import EmbeddedServer
from servers.mysql import MySQLServer


@dataclass
class Site:
    """A server with an owner of the schemas, who is no administrator."""

    backend: str
    home: Path
    database: dict[str, Any]
    logins: dict[str, str] = field(default_factory=dict)

    def settings(self, login: str = "owner") -> Settings:
        """Return the settings of a login."""
        account = {"user": f"{self.prefix}_login_{login}", "password": self.logins[login]}
        return load(home=self.home, store={"url": str(self.home / "store")}, database={**self.database, **account})

    @property
    def prefix(self) -> str:
        return str(self.database["prefix"])

    def connect(self, login: str = "owner") -> Any:
        """Return a connection of the driver's, which can be used as a context manager."""
        adapter = PostgreSQL() if self.backend == "postgresql" else MySQL()
        return closing(adapter.open(target(self.settings(login).database)))

    def execute(self, *statements: str, login: str = "owner") -> list[tuple[Any, ...]]:
        with self.connect(login) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []


@contextmanager
def postgresql_site(folder: Path) -> Iterator[Site]:
    """Run a PostgreSQL with an owner who may make roles; each role that exists is given to a login by `hire`."""
    server = EmbeddedServer(folder / "server", fsync=False)
    server.start()
    server.leave()
    prefix, password = f"s{secrets.token_hex(6)}", secrets.token_hex(16)
    owner = f"{prefix}_login_owner"
    data = cluster.data_folder(server.home)
    assert data is not None
    script = folder / "owner.sql"
    script.write_text(
        f"CREATE ROLE {owner} LOGIN CREATEROLE PASSWORD '{password}'\n"
        f"GRANT CREATE ON DATABASE {cluster.DATABASE} TO {owner}\n"
    )
    programs = installation.find()
    with script.open("rb") as file:
        alone = (programs.program("postgres"), "--single", "-D", str(data), "-c", "exit_on_error=true", "postgres")
        assert programs.run(*alone, stdin=file, output=subprocess.DEVNULL) == 0
    with (data / "pg_hba.conf").open("a") as rules:
        rules.write("local all all scram-sha-256\n")
    found = server.start()
    database = {"backend": "postgresql", "host": found.host, "port": found.port, "name": found.database}
    yield Site("postgresql", folder / "home", {**database, "prefix": prefix}, {"owner": password})
    server.remove()


@contextmanager
def mysql_site(server: MySQLServer, folder: Path) -> Iterator[Site]:
    """Give an owner, who may make roles, his schemas on a MySQL server."""
    prefix, password = f"s{secrets.token_hex(6)}", secrets.token_hex(16)
    owner = f"{prefix}_login_owner"
    server.execute(
        f"CREATE USER {owner} IDENTIFIED BY '{password}'",
        rf"GRANT ALL ON `{prefix}\_%`.* TO {owner} WITH GRANT OPTION",
        f"GRANT CREATE ROLE ON *.* TO {owner}",
    )
    database = {"backend": "mysql", "host": server.host, "port": server.port, "prefix": prefix}
    yield Site("mysql", folder / "home", database, {"owner": password})


def hire(site: Site, role: str, server: MySQLServer | None, name: str = "") -> None:
    """Make a login (called as the role unless named) and give it a role, as docs/how-to/deploy.md says."""
    name = name or role
    login, password = f"{site.prefix}_login_{name}", secrets.token_hex(16)
    if server is None:
        site.execute(f"CREATE ROLE {login} LOGIN PASSWORD '{password}' IN ROLE {site.prefix}_{role}")
    else:
        server.execute(
            f"CREATE USER {login} IDENTIFIED BY '{password}'",
            f"GRANT {site.prefix}_{role} TO {login}",
            f"SET DEFAULT ROLE {site.prefix}_{role} TO {login}",
        )
    site.logins[name] = password
