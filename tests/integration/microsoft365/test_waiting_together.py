"""What one machine is told holds for the application's processes on all of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sharing_world import Company, company
from waiting import PATIENCE

from data_platform.errors import SourceUnavailable
from data_platform.settings import Settings, load
from populate.sharing.progress import Silent
from populate.sharing.sync import sync_sharing
from populate.work.waits import Waits, waiting_together
from readers.microsoft365.access import as_worker
from readers.microsoft365.brake import brake
from schemas.binding import Binding
from schemas.following import SourceWait

LONG = 3600.0
ME = "/users?$select=id"
ASKS = """
from data_platform.settings import settings
from populate.work.waits import waiting_together
from readers.microsoft365.access import as_worker
from schemas import following
from schemas.binding import CORE, bind

with waiting_together(bind(settings(), schemas=(*CORE, ("following", following.schema)))):
    as_worker(settings()).get("/users?$select=id")
"""
ASKED = r"^\S+ /(v1\.0|api)/"  # to sign in is no request of these services


@pytest.fixture
def firm(binding: Binding, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    with company(monkeypatch) as found:
        yield found


def machine(firm: Company, home: Path) -> Settings:
    """Return the settings of a worker at another machine."""
    return load(home=home, **firm.server.settings(firm.app))


def test_a_process_on_another_machine_does_not_ask_before_the_time_is_over(
    binding: Binding, firm: Company, tmp_path: Path
) -> None:
    one, other, reader = (machine(firm, tmp_path / name) for name in ("one", "other", "reader"))
    told = as_worker(one)
    told.patience = 0.0
    firm.server.faults.throttle("users", retry_after=str(LONG))
    with waiting_together(binding), pytest.raises(SourceUnavailable, match="asks this application to wait"):
        told.get(ME)
    asked = firm.server.count(ASKED)

    environment = firm.server.environment(firm.app) | {"DATA_PLATFORM_HOME": str(tmp_path / "another")}
    done = subprocess.run(
        [sys.executable, "-c", ASKS],
        capture_output=True,
        text=True,
        timeout=5 * PATIENCE,
        check=False,
        env=os.environ | environment,
    )
    assert "SourceUnavailable: Microsoft 365 asks this application to wait" in done.stderr
    amy, bob = firm.world.add_user("Amy Ade"), firm.world.add_user("Bob Bell")
    firm.read(binding, firm.world.upload(firm.world.add_drive(amy), "results.xlsx", b"one", amy), bob)
    with pytest.raises(SourceUnavailable, match="asks this application to wait"):
        sync_sharing(binding, machine(firm, tmp_path / "syncing"), progress=Silent())
    waiting = as_worker(other)
    waiting.patience = 0.0
    with waiting_together(binding), pytest.raises(SourceUnavailable, match="asks this application to wait"):
        waiting.get(ME)
    assert firm.server.count(ASKED) == asked == 1
    assert brake(other).left > LONG / 2  # by the file, which is there for all of that machine now
    assert not as_worker(reader).brake.left  # without a database to look at, as readers are

    SourceWait().delete_quick()
    free = as_worker(machine(firm, tmp_path / "third"))
    firm.server.faults.impatient.clear()
    with waiting_together(binding):
        assert free.get(ME)["value"] is not None


def test_a_wait_is_over_on_all_machines_at_once(binding: Binding, firm: Company, tmp_path: Path) -> None:
    one, other = (as_worker(machine(firm, tmp_path / name)) for name in ("one", "other"))
    one.patience = 0.0
    firm.server.faults.throttle("users", retry_after="0.7")
    with waiting_together(binding):
        with suppress(SourceUnavailable):  # unless it was over before it looked
            one.get(ME)
        assert other.get(ME)["value"] == []
    assert firm.server.faults.impatient == []


def test_the_longest_wait_counts_and_each_application_has_its_own(binding: Binding, firm: Company) -> None:
    waits = Waits(binding)
    try:
        assert waits.left("a" * 32) == 0.0
        for seconds in (LONG, 0.0, 60.0, LONG):
            waits.tell("a" * 32, seconds)
        assert LONG / 2 < waits.left("a" * 32) <= LONG
        assert waits.left("b" * 32) == 0.0
        waits.tell("b" * 32, 0.0)
        assert waits.left("b" * 32) == 0.0
    finally:
        waits.close()
    assert waits.left("a" * 32) == 0.0  # nobody can be asked any more; what this machine was told still counts
    waits.tell("a" * 32, LONG)
