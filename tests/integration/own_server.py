"""A database server that a test may stop, kill and give roles to, used like any server elsewhere."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from data_platform.settings import settings
from schemas import cluster, installation
from schemas.embedded import EmbeddedServer


class OwnServer:
    """A server of its own, and settings that lead there.

    Attributes
    ----------
    prefix
        Of the schemas, as the settings say.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        # Not below `home`, which may be too long for a socket: then each start takes another folder for it.
        self._folder = Path(tempfile.mkdtemp(prefix="own-"))
        self._server = EmbeddedServer(self._folder / "home", fsync=False)
        self._patch = patch
        self.prefix = f"o{secrets.token_hex(6)}"
        address = self._server.start()
        self._set(BACKEND="postgresql", HOST=address.host, PORT=str(address.port), NAME=address.database)
        self._set(PREFIX=self.prefix)
        self.use(address.user, address.password)

    def use(self, user: str, password: str) -> None:
        """Let the settings name another account."""
        self._set(USER=user, PASSWORD=password)

    def _set(self, **values: str) -> None:
        for name, value in values.items():
            self._patch.setenv(f"DATA_PLATFORM_DATABASE__{name}", value)
        settings.cache_clear()

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        """Stop it as an administrator would: sessions are ended."""
        assert self._server.leave(), "somebody else uses the server"

    def add_role(self, name: str, *grants: str) -> None:
        """Add an account with `name` as its password; the everyday account has no right to do so."""
        self.stop()
        data = cluster.data_folder(self._server.home)
        assert data is not None
        script = self._server.home / "role.sql"
        script.write_text("\n".join((f"CREATE ROLE {name} LOGIN PASSWORD '{name}'", *grants, "")))
        programs = installation.find()
        with script.open("rb") as file:
            alone = (programs.program("postgres"), "--single", "-D", str(data), "-c", "exit_on_error=true", "postgres")
            assert programs.run(*alone, stdin=file, output=subprocess.DEVNULL) == 0
        with (data / "pg_hba.conf").open("a") as rules:
            rules.write(f"local all {name} scram-sha-256\n")
        self.start()

    def kill(self) -> None:
        """Kill it as a power loss would; `start` then recovers it."""
        data = cluster.data_folder(self._server.home)
        assert data is not None
        os.kill(int((data / "postmaster.pid").read_text().splitlines()[0]), signal.SIGKILL)

    def remove(self) -> None:
        self._server.remove()
        shutil.rmtree(self._folder)
