"""A crew that cannot begin is tried again, less and less often, and works once it can; meanwhile it is not ready."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
from deliveries import hand_in, item, read
from servers.tcp_proxy import TcpProxy, target_of

from data_platform.errors import DataPlatformError
from data_platform.settings import Settings, load
from populate.ingest import Ingest
from populate.watch.service import Service, log_made
from populate.work import crew as crew_module
from populate.work import worker as worker_module
from populate.work.crew import Crew
from populate.work.queue import Queue
from populate.work.worker import run_worker
from schemas.binding import Binding

PATIENCE = 120.0


@pytest.fixture
def backend() -> str:
    """How processes are started and watched has nothing to do with the kind of database."""
    return "postgresql"


@contextmanager
def at_work(settings: Settings) -> Iterator[Crew]:
    crew = Crew(settings, 1)
    try:
        yield crew
    finally:
        crew.end()


def step_until(crew: Crew, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        crew.step()


def test_a_crew_works_again_once_what_kept_it_from_beginning_is_over(
    binding: Binding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew_module, "PATIENCE", 0)
    hand_in(binding, [read(item("/a.csv"))])
    Queue(Ingest()).refresh()
    database = binding.settings.database
    with TcpProxy(target_of(database.host, database.port)) as proxy:
        way = database.model_copy(update={"host": "127.0.0.1", "port": proxy.port})
        proxy.block()
        with at_work(load().model_copy(update={"database": way})) as crew:
            for _ in range(2):  # each time with another process
                with pytest.raises(DataPlatformError, match="end with errors"):
                    step_until(crew, lambda: False)
            proxy.unblock()
            step_until(crew, lambda: len(Ingest()) == 1)


def test_a_worker_that_only_fails_tells_of_no_round(binding: Binding, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        def __init__(self, *_: object) -> None:
            pass

        def step(self) -> int:
            raise DataPlatformError("They end with errors.")

        def end(self) -> None:
            pass

    beats: list[int] = []
    service = Service(log_made, lambda: beats.append(1))

    def watched(*_: Any, **__: Any) -> nullcontext[Service]:
        return nullcontext(service)

    monkeypatch.setattr(worker_module, "Crew", Failing)
    monkeypatch.setattr(worker_module, "PATIENCE", 1)
    monkeypatch.setattr(worker_module, "monitored", watched)
    with pytest.raises(DataPlatformError, match="They end"):
        run_worker(once=True, processes=2)
    assert beats == []
    run_worker(once=True, processes=1)
    assert beats
