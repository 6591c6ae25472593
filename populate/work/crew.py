"""Who does a worker's work: this process alone, or processes that it starts.

DataJoint populates in main threads only, and a connection belongs to one process, so more
hands are more processes.
"""

from __future__ import annotations

import logging
import multiprocessing
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

from data_platform.errors import DatabaseUnavailable, DataPlatformError
from data_platform.logs import log_to_stderr
from data_platform.settings import Settings
from populate.pipeline import bind_all
from populate.watch.observing import Observer
from populate.watch.service import observer_of_hand
from populate.work.jobs import queues, work
from populate.work.lease import Presence
from populate.work.stopping import Stop, repeat
from populate.work.waits import waiting_together
from schemas.binding import Binding

IDLE_SECONDS = 0.5  # between two looks of a process for jobs
LOOK_SECONDS = 0.2  # between two looks at the processes
PATIENCE = 5  # processes in a row that end with an error before the next ones are waited for
STOP_SECONDS = 20.0  # before a process that does not stop is killed


class Alone:
    """This process works."""

    def __init__(self, settings: Settings, binding: Binding, observer: Observer) -> None:
        self._queues = queues(settings, observer)
        self._presence = Presence(binding)

    def step(self) -> int:
        """Work off some jobs of the most urgent queues that have any; return how many."""
        self._presence.show()
        try:
            return work(self._queues)
        except Exception:  # for as long as this session lives nobody else frees what it still holds
            with suppress(Exception):
                self._let_go()
            raise

    def end(self) -> None:
        """Give back the job that was in hand; if the database is away, it is free once our session is gone."""
        with suppress(DatabaseUnavailable):
            self._let_go()
            self._presence.end()

    def _let_go(self) -> None:
        for queue in self._queues:
            queue.let_go()


class Crew:
    """Several processes work; those that die are replaced.

    Whatever keeps them from beginning, as a database that lets no more sessions in, may end by
    itself: each further step tries again, and whoever repeats steps waits longer each time.
    """

    def __init__(self, settings: Settings, processes: int, folder: Path | None = None) -> None:
        self._settings = settings
        self._folder = folder
        self._queues = queues()
        self._errors = 0
        self._hands = [self._start() for _ in range(processes)]

    def step(self) -> int:
        """See that all are at work; return the number of jobs that wait or are in hand.

        Raises
        ------
        DataPlatformError
            If they end with errors again and again.
        """
        self._see_to_all()
        time.sleep(LOOK_SECONDS)
        while self._errors > PATIENCE:
            if any(not hand.process.is_alive() for hand in self._hands):
                raise DataPlatformError(
                    "The processes of the worker end with errors. Their messages above say why; "
                    "run it with one process to see them in full."
                )
            time.sleep(LOOK_SECONDS)
            self._note_beginnings()
        return sum(queue.busy() for queue in self._queues)

    def end(self) -> None:
        """Stop all; each gives back the job that it has in hand."""
        for hand in self._hands:
            hand.process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for hand in self._hands:
            hand.process.join(max(0.0, deadline - time.monotonic()))
            if hand.process.is_alive():
                hand.process.kill()
                hand.process.join()
            hand.begun.close()

    def _see_to_all(self) -> None:
        self._note_beginnings()
        for place, hand in enumerate(self._hands):
            if not hand.process.is_alive():
                self._errors = self._errors + 1 if hand.process.exitcode == 1 else 0
                hand.begun.close()
                self._hands[place] = self._start()

    def _note_beginnings(self) -> None:
        if any(hand.has_just_begun() for hand in self._hands):
            self._errors = 0

    def _start(self) -> _Hand:
        # spawn: a forked child would share the connection, and the settings (with their
        # secrets) reach the child through a pipe, not through arguments or the environment.
        spawning = multiprocessing.get_context("spawn")
        begun, theirs = spawning.Pipe(duplex=False)
        with theirs:
            process = spawning.Process(target=be_a_hand, args=(self._settings, theirs, self._folder), daemon=True)
            process.start()
        return _Hand(process, begun)


class _Hand(NamedTuple):
    process: BaseProcess
    begun: Connection

    def has_just_begun(self) -> bool:
        """Tell, once, that it has found all that it needs for its work."""
        with suppress(EOFError, OSError):  # it ended before it began, or told it before
            return self.begun.poll() and bool(self.begun.recv_bytes())
        return False


def be_a_hand(settings: Settings, begun: Connection, folder: Path | None = None) -> None:
    """Be one of a crew: work until told to stop, or until the process that watches over it is gone.

    Parameters
    ----------
    begun
        Is told when work begins.
    folder
        Where to keep counts for that process to serve.
    """
    log_to_stderr(settings.log, "worker")
    try:
        _work(settings, observer_of_hand(folder), begun)
    except DataPlatformError as error:
        logging.getLogger(__name__).error("%s", error)
        raise SystemExit(1) from None


def _work(settings: Settings, observer: Observer, begun: Connection) -> None:
    with Stop.on_signals() as stop:
        binding = bind_all(settings)
        alone = Alone(settings, binding, observer)
        with suppress(OSError), begun:  # nobody is there any more to be told
            begun.send_bytes(b"begun")
        parent = multiprocessing.parent_process()

        def prepare() -> None:
            if parent is not None and not parent.is_alive():
                stop.request()
            binding.ensure()

        with waiting_together(binding):
            repeat(stop, prepare, alone.step, lambda: False, pause=IDLE_SECONDS, longest=IDLE_SECONDS)
        alone.end()
