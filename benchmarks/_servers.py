"""The database and object servers of the tests, for benchmarks that need a real one beside the embedded database."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data_platform.settings import Settings, load
from populate.pipeline import bind_all
from schemas.binding import Binding, unbind
from schemas.embedded import EmbeddedServer

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from servers.ceph import Ceph, ceph_server, missing_programs, run
from servers.moto import moto_server
from servers.mysql import mysql_server
from servers.processes import S3Server

__all__ = ["S3Server", "deployed", "s3_server"]

MYSQL_MEMORY = 2 * 1024**3  # bytes, as a machine has that is bought for it; the tests' server has next to none


@contextmanager
def deployed(backend: str, folder: Path, engine: str = "tantivy") -> Iterator[tuple[Binding, Settings]]:
    """Bind to an empty catalogue: `backend` is ``postgresql`` (the embedded one, with its fsyncs) or ``mysql``.

    `engine` is that of search.
    """
    home = folder / "home"
    if backend == "postgresql":
        settings = load(home=home, search={"engine": engine})
        try:
            yield bind_all(settings), settings
        finally:
            unbind()
            EmbeddedServer(settings.home).remove()
        return
    with mysql_server(folder) as server:
        server.execute(f"SET GLOBAL innodb_buffer_pool_size = {MYSQL_MEMORY}", "SET GLOBAL local_infile = 1")
        account = {"host": server.host, "port": server.port, "user": server.user, "password": server.password}
        settings = load(home=home, database={"backend": "mysql", **account})
        try:
            yield bind_all(settings, deploy=True), settings
        finally:
            unbind()


@contextmanager
def s3_server(folder: Path) -> Iterator[tuple[S3Server, str]]:
    """Run the most real S3 server that is installed here; tell which it is."""
    if missing_programs():
        with moto_server(folder) as moto:
            yield moto, "moto"
    else:
        with ceph_server(folder) as ceph:
            yield ceph, "Ceph RADOS Gateway"


def requests_to(server: S3Server) -> dict[str, int]:
    """Return how many requests a server has had: all (``req``), and those that put objects; of Ceph only."""
    if not isinstance(server, Ceph):
        return {}
    (socket,) = (server.folder / "run").glob("client.rgw.a*.asok")
    counted = json.loads(run(server.folder, "ceph", "--admin-daemon", str(socket), "perf", "dump"))["rgw"]
    return {name: int(counted[name]) for name in ("req", "put")}
