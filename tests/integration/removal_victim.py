"""Processes that back up, rebuild, sweep or erase and are killed at a certain call to the store or the database.

Each kill is a fork of a process that has everything loaded, so that a point costs little. The child counts its
calls, those that write and those that only look, and kills itself before the one whose turn it is: nothing of it
is tidied up, no lock given back, no transaction ended but by the server.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from data_platform.settings import load, settings
from populate.backup.erasing import erase
from populate.backup.rebuild import rebuild
from populate.backup.tables import Backup
from populate.ingest import Ingest
from populate.pipeline import bind_all
from populate.retention.retaining import retain
from populate.store import open_store
from populate.store.folder import FolderStore
from populate.work.queue import Queue
from schemas.connection import Connection

CALLS: tuple[tuple[Any, str], ...] = (
    (Connection, "query"),
    *((FolderStore, name) for name in ("remove", "writer", "size", "objects", "read", "sync_folder_of")),
    (os, "unlink"),
    (os, "fsync"),
    (os, "link"),
)


def killed_at(number: int, act: Callable[[], object]) -> int:
    """Run `act` in a fork that is killed before its call number `number`, from 1; return the exit code."""
    child = os.fork()
    if not child:
        code = 1
        try:
            _count(number)
            act()
            code = 0
        except BaseException as error:
            print(f"{error!r}", file=sys.stderr, flush=True)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _count(number: int) -> None:
    """Have this process kill itself before a call. Binding to the database does not count."""
    settings.cache_clear()
    bind_all(load())
    seen = 0

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def before(*arguments: Any, **options: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        return before

    for owner, name in CALLS:
        setattr(owner, name, counted(getattr(owner, name)))


def sweep(now: datetime) -> None:
    """Sweep everything that is due, what killed ones had claimed included."""
    retain(bind_all(load()), open_store(load()), load(), now=now, take_over=timedelta(0))


def erase_content(sha256: str) -> None:
    """Erase a content."""
    erase(bind_all(load()), open_store(load()), load(), sha256, "killed")


def back_up() -> None:
    """Take in what was delivered and back it up, and what killed ones were at."""
    bind_all(load())
    for table in (Ingest, Backup):
        queue = Queue(table())
        queue.clean()
        queue.refresh()
        while queue.run(50):
            pass


def enter_all() -> None:
    """Enter everything that the store holds into the catalogue."""
    rebuild(bind_all(load()), open_store(load()))


def sweeping_beside(act: Callable[[], object]) -> int:
    """Run `act` while another process sweeps again and again; return how that one ended."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(write)
        code = 1
        try:
            settings.cache_clear()
            while not select.select([read], [], [], 0)[0]:  # until the other side closes it
                sweep(datetime.now(UTC).replace(tzinfo=None))
            code = 0
        except BaseException as error:
            print(f"{error!r}", file=sys.stderr, flush=True)
        finally:
            os._exit(code)
    os.close(read)
    try:
        act()
    finally:
        os.close(write)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code
