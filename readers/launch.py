"""Starts the shipper: at most one for an outbox, on demand, and without its code or the database.

Whether a shipper runs is asked of a flock on ``shipper.lock``. Whoever gets the lock starts
one and hands the *locked* file on to it, so there is no moment at which two could start. The
shipper is nobody's child (a shell that ends at once stands between), has its own session and
gets the settings through a pipe, whatever the environment has become meanwhile.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from time import monotonic

from pydantic import BaseModel, SecretStr

from data_platform.settings import Settings
from readers.backlog import prepare

log = logging.getLogger("data_platform.outbox")

LOOK_SECONDS = 5.0
"""How often a process that appends makes sure that there is a shipper."""

LONGEST_PAUSE = 240.0
"""The most that a process waits before it starts another shipper when they keep ending."""

_ROOT = Path(__file__).parent.parent
# -P: neither the current folder nor the script's is searched for modules.
_CODE = "import sys; sys.path.append(sys.argv.pop(1)); from readers.shipper import main; main()"
# A shell without job control gives what it starts in the background no input but what is named.
_DETACH = 'exec 3<&0; "$@" <&3 3<&- &'


class ShipperWatch:
    """Looks now and then whether the outbox of these settings has a shipper, and starts one if not."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._next = 0.0
        self._pause = LOOK_SECONDS

    def soon(self) -> None:
        """Look at the next opportunity: there is a segment that no shipper may know of."""
        self._next = 0.0

    def look(self) -> None:
        """Start the shipper if there is none; cheap, and never raises."""
        now = monotonic()
        if now < self._next:
            return
        self._next = now + LOOK_SECONDS
        try:
            if start_shipper(self._settings):
                # If it does not last (say, the database's package is missing) the next is not due soon.
                self._next = now + self._pause
                self._pause = min(2 * self._pause, LONGEST_PAUSE)
        except Exception as error:
            log.warning("The shipper cannot be started (%s). Run `data-platform flush` to deliver.", error)


def start_shipper(settings: Settings) -> bool:
    """Start the shipper of this outbox unless one runs; True if it was started.

    Raises
    ------
    OSError
        If no process can be started.
    """
    prepare(settings.outbox_folder)
    opened = os.open(settings.outbox_folder / "shipper.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        lock = fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, 10)  # the shell has its own plans for 3 to 9
    except BlockingIOError:
        return False
    finally:
        os.close(opened)
    try:
        _spawn(settings, lock)
    finally:
        os.close(lock)
    return True


def _spawn(settings: Settings, lock: int) -> None:
    command = ["/bin/sh", "-c", _DETACH, "sh", _python(), "-P", "-c", _CODE, str(_ROOT), str(lock)]
    log_file = os.open(
        settings.outbox_folder / "shipper.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
    )
    try:
        shell = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=log_file,
            stderr=log_file,
            cwd="/",
            pass_fds=(lock,),
            start_new_session=True,
        )
        shell.communicate(json.dumps(_plain(settings)).encode())
    finally:
        os.close(log_file)


def _python() -> str:
    """Return this interpreter; inside another program `sys.executable` may be that program."""
    for candidate in (sys.executable, f"{sys.prefix}/bin/python3"):
        if candidate and "python" in Path(candidate).name and Path(candidate).exists():
            return candidate
    raise OSError("no Python interpreter is known")


def _plain(value: object) -> object:
    """Return settings as JSON-able values, secrets included: they go through a pipe only."""
    if isinstance(value, BaseModel):
        return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Path):
        return str(value)
    return value
