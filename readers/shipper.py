"""The shipper: a process that delivers what the processes of one user noted down.

When it lives: the first append of a process starts it (`readers.launch`), and one outbox has
at most one. It polls the segments and sends what is there twice a second, or at once while
batches are full. It ends

- `Limits.idle` seconds after the last access was delivered and the last process that reads
  has ended, so nothing is left behind;
- `Limits.linger` seconds after the last access even if such a process still lives: its next
  append starts another;
- `Limits.give_up` seconds into an outage of the database if no process that reads lives: the
  accesses stay, and the next read or flush delivers them;
- at once if the outbox was deleted or retrying cannot help.

A batch system that kills all processes of a job kills the shipper too: what is left is
delivered by the next read of the same user anywhere, or by ``data-platform flush``.

Before it ends it lets go of its lock and looks once more, so an access that was appended
while it made up its mind is never left behind. Killed at any point it loses and doubles
nothing: see `readers.backlog` and `readers.delivery`.

Between deliveries it finds out which bytes that were read are out of date (`readers.watching`).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import random
import signal
import sys
import time
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

from data_platform.errors import DataPlatformError, MissingExtra, Permanent, SchemaMismatch, SettingsError
from data_platform.redact import RedactingFilter
from data_platform.settings import Settings, load
from data_platform.settings import settings as settings_in_force
from readers.backlog import Backlog, prepare
from readers.flush import Step, deliver_next, flush, look
from readers.launch import start_shipper

__all__ = ["Limits", "Shipper", "ensure_shipper", "flush", "main"]

log = logging.getLogger("data_platform.shipper")

LOG_BYTES = 1024 * 1024
HOPELESS = (MissingExtra, SettingsError, SchemaMismatch, Permanent)
"""Retrying cannot help: something has to be installed or set first."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the shipper waits for what, in seconds."""

    idle: float
    linger: float = 600.0
    give_up: float = 300.0
    poll: float = 0.5
    longest_delay: float = 30.0


def ensure_shipper(settings: Settings) -> bool:
    """Start the shipper unless one runs or it is switched off; True if it was started."""
    return settings.outbox.ship and start_shipper(settings)


class Shipper:
    """The loop of the shipper process.

    Parameters
    ----------
    lock
        Descriptor of the locked ``shipper.lock``.
    """

    def __init__(self, settings: Settings, lock: int, limits: Limits) -> None:
        self._settings = settings
        self._lock = lock
        self._limits = limits
        self._backlog = Backlog(settings.outbox_folder)
        self._lookout = _Lookout(settings)

    def run(self) -> None:
        """Deliver until there is no reason left to stay."""
        while self._serve():
            # An append that found the lock held relies on this last look.
            fcntl.flock(self._lock, fcntl.LOCK_UN)
            if not self._backlog.waiting():
                return
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # another took over

    def _serve(self) -> bool:
        """Deliver until idle (True), or until staying is of no use (False)."""
        clocks = _Clocks()
        delay = self._limits.poll
        while self._at_home():
            clocks.note_use(self._backlog)
            try:
                step = deliver_next(self._settings, self._backlog)
            except (DataPlatformError, OSError) as error:
                if isinstance(error, HOPELESS):
                    log.error("Accesses wait, because of this: %s", error)
                    return False
                log.warning("Accesses wait, next attempt within %.0f s: %s", 1.5 * delay, error)
                if clocks.outage() > self._limits.give_up:
                    return False
                self._pause(delay * random.uniform(0.5, 1.5))
                delay = min(2 * delay, self._limits.longest_delay)
                continue
            delay = self._limits.poll
            clocks.note_work(step)
            self._lookout.tend(step)
            if clocks.idle(self._limits):
                self._lookout.finish()
                return True
            if step.taken < self._settings.outbox.batch_events:
                self._pause(delay)
        return False

    def _pause(self, seconds: float) -> None:
        """Sleep, but not on when the outbox was deleted."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and self._at_home():
            time.sleep(min(left, 1.0))

    def _at_home(self) -> bool:
        """Tell whether the lock that this process holds is still that of the outbox."""
        try:
            return os.path.samestat(os.fstat(self._lock), os.stat(self._backlog.folder / "shipper.lock"))
        except FileNotFoundError:
            return False


class _Lookout:
    """When to find out what is out of date: soon after deliveries, and now and then while nothing is read."""

    SOON, SELDOM = 30.0, 300.0  # seconds from one look to the next: a thousand shippers share a database
    SHARE = 100.0  # times as long as it took

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._news = False
        self._soonest, self._due = 0.0, float("inf")  # whoever has delivered nothing has no connection to ask by

    def tend(self, step: Step) -> None:
        """Look if it is due; a batch that is full is followed by the next one first."""
        self._news = self._news or bool(step.taken)
        full, now = step.taken >= self._settings.outbox.batch_events, time.monotonic()
        if not full and now >= (self._soonest if self._news else self._due):
            self._look(now)

    def finish(self) -> None:
        """Look once more if something was delivered since."""
        if self._news:
            self._look(time.monotonic())

    def _look(self, now: float) -> None:
        look(self._settings)
        least = self.SHARE * (time.monotonic() - now)
        self._news = False
        self._soonest, self._due = now + max(self.SOON, least), now + max(self.SELDOM, least)


class _Clocks:
    """Since when what has been the case; in seconds of the monotonic clock."""

    def __init__(self) -> None:
        self._work = self._reader = time.monotonic()
        self._outage: float | None = None
        self._readers = True
        self._saved = 0

    def note_use(self, backlog: Backlog) -> None:
        """Look whether processes that read live, and whether somebody else delivered."""
        now = time.monotonic()
        self._readers = backlog.in_use()
        if self._readers:
            self._reader = now
        if (saved := backlog.saved_at()) != self._saved:
            self._saved, self._work = saved, now

    def note_work(self, step: Step) -> None:
        self._outage = None
        if step.moved:
            self._work = time.monotonic()

    def outage(self) -> float:
        """Note that the database is out; return for how long it has been so while nobody read."""
        now = time.monotonic()
        self._outage = now if self._outage is None else self._outage
        return 0.0 if self._readers else now - max(self._outage, self._reader)

    def idle(self, limits: Limits) -> bool:
        """Tell whether there is no reason left to stay."""
        now = time.monotonic()
        if not self._readers and now - max(self._work, self._reader) >= limits.idle:
            return True
        return now - self._work >= limits.linger


def main() -> None:
    """Run the shipper: of the settings on standard input if handed a lock, else of those in force."""
    signal.signal(signal.SIGTERM, _stop)
    os.umask(0o077)
    os.chdir("/")
    handed = sys.argv[1:2]
    settings = load(**json.load(sys.stdin)) if handed else settings_in_force()
    lock = int(handed[0]) if handed else _take_lock(settings)
    os.set_inheritable(lock, False)  # a database server started from here must not keep it
    os.nice(5)
    _log_to_stderr()
    log.info("Shipper %s starts", os.getpid())
    try:
        Shipper(settings, lock, Limits(settings.outbox.idle_seconds)).run()
    except Exception:
        log.exception("The shipper failed; the next read starts another")
        raise SystemExit(1) from None
    finally:
        _disconnect()
        log.info("Shipper %s ends", os.getpid())


def _disconnect() -> None:
    """Let go of the database: the last user of the embedded server stops it."""
    if (binding := sys.modules.get("schemas.binding")) is not None:
        binding.unbind()


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


def _take_lock(settings: Settings) -> int:
    prepare(settings.outbox_folder)
    lock = os.open(settings.outbox_folder / "shipper.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit("A shipper of this outbox runs already.") from None
    return lock


def _log_to_stderr() -> None:
    """Log to standard error, which is the outbox's ``shipper.log``, kept short."""
    with contextlib.suppress(OSError):
        if os.fstat(sys.stderr.fileno()).st_size > LOG_BYTES:
            os.ftruncate(sys.stderr.fileno(), 0)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    for handler in logging.getLogger().handlers:
        handler.addFilter(RedactingFilter())
        handler.addFilter(_worth_keeping)


def _worth_keeping(record: logging.LogRecord) -> bool:
    return record.name.startswith("data_platform") or record.levelno >= logging.WARNING


if __name__ == "__main__":
    main()
