"""A worker whose database server is gone for good: it waits for it, and stops all the same when told to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from deliveries import hand_in, item, read
from waiting import PATIENCE, wait_until

from data_platform.settings import load, settings
from populate.ingest import Ingest
from populate.pipeline import bind_all
from schemas import cluster, postmaster
from schemas.binding import unbind
from schemas.embedded import EmbeddedServer


@pytest.fixture
def own_server(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedServer]:
    """Return a server that the settings name as one of somebody else's, so that no worker starts it."""
    server = EmbeddedServer(home / "server", fsync=False)
    address = server.start()
    for name, value in address.arguments().items():
        key = {"dbname": "NAME"}.get(name, name.upper())
        monkeypatch.setenv(f"DATA_PLATFORM_DATABASE__{key}", str(value))
    monkeypatch.setenv("DATA_PLATFORM_DATABASE__BACKEND", "postgresql")
    settings.cache_clear()
    yield server
    unbind()
    server.start()
    server.remove()


def test_it_waits_for_the_database_and_stops_when_told(own_server: EmbeddedServer, tmp_path: Path) -> None:
    binding = bind_all(load(), deploy=True)
    log = tmp_path / "log"
    with log.open("w") as errors:
        worker = subprocess.Popen([sys.executable, "-m", "populate.work.worker"], stderr=errors)
    try:
        hand_in(binding, [read(item("/a.csv"))])
        wait_until(lambda: len(Ingest()) == 1)
        halt(own_server)
        wait_until(lambda: "starts again" in log.read_text())
        assert worker.poll() is None
        own_server.start()
        hand_in(binding, [read(item("/b.csv"))])
        wait_until(lambda: len(Ingest()) == 2)
        halt(own_server)
        told = len(log.read_text())
        wait_until(lambda: "starts again" in log.read_text()[told:])
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(PATIENCE) == 0
    finally:
        worker.kill()
        worker.wait()


def halt(server: EmbeddedServer) -> None:
    """Kill the server, and see that nobody answers."""
    address = server.start()
    found = postmaster.status(cluster.data_folder(server.home) or server.home)
    assert found is not None
    os.kill(found.pid, signal.SIGKILL)

    def gone() -> bool:
        try:
            psycopg2.connect(**address.arguments()).close()
        except psycopg2.OperationalError:
            return True
        return False

    wait_until(gone)
