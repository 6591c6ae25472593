"""What a person types and what the scheduler starts: sharing is synced, notices are taken."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
from pydantic import SecretStr
from sharing_world import Company, company
from waiting import PATIENCE, wait_until

from populate.sharing.notices import client_state, has_notices
from schemas.binding import Binding
from schemas.following import FollowedDrive, ItemState
from schemas.sharing import Permission

pytestmark = pytest.mark.timeout(900)
KEY = "k" * 40


@pytest.fixture
def backend() -> str:
    """Return the kind of database. What processes do about it is tested elsewhere."""
    return "postgresql"


@pytest.fixture
def firm(binding: Binding, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    """A company of whose files Bob has read one; processes are led there, too."""
    with company(monkeypatch) as found:
        amy, bob = found.world.add_user("Amy Ade"), found.world.add_user("Bob Bell")
        item = found.world.upload(found.world.add_drive(amy), "results.xlsx", b"one", amy)
        found.world.share(item, amy, bob)
        found.read(binding, item, bob)
        for name, value in found.server.environment(found.app).items():
            if name != "SSL_CERT_FILE":  # in force already, and given back before the others are
                monkeypatch.setenv(name, value)
        yield found


@contextmanager
def process(*arguments: str, log: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run a module for the length of a block; it ends with 0 when it is told to."""
    with log.open("w") as errors:
        command = [sys.executable, "-m", *arguments]
        running = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=os.environ | environment
        )
    try:
        yield running
        running.send_signal(signal.SIGTERM)
        assert running.wait(PATIENCE) == 0, log.read_text()
    finally:
        running.kill()
        running.communicate()


def test_the_command_syncs_and_tells_what_it_found(binding: Binding, firm: Company) -> None:
    command = [sys.executable, "-m", "data_platform", "sync", "sharing", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=5 * PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["drives"], found["refused"], found["busy"]) == (1, {}, False)
    assert found["granted"] == len(Permission()) == 2
    assert "1 of 1 drives asked" in done.stderr
    assert firm.app.secret not in done.stdout + done.stderr


def test_the_scheduler_syncs_by_itself(binding: Binding, firm: Company, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with process("populate.work.scheduler", log=log):
        wait_until(lambda: "at work" in log.read_text())
        wait_until(lambda: firm.server.requests)  # one process after the other has started
        wait_until(lambda: len(Permission()) == 2)
        assert len(ItemState()) > 0
    assert "Traceback" not in log.read_text()


def test_notices_are_taken_by_a_process_of_their_own(binding: Binding, firm: Company, tmp_path: Path) -> None:
    firm.sync(binding)
    state = client_state(SecretStr(KEY), FollowedDrive.to_arrays("drive_key")[0])
    environment = {"DATA_PLATFORM_MICROSOFT365__NOTIFY_KEY": KEY}
    command = ("data_platform", "notices", "--port", "0")
    with process(*command, log=tmp_path / "log", **environment) as running:
        assert running.stdout is not None
        port = int(running.stdout.readline().rpartition(":")[2])
        connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        connection.request("POST", "/?validationToken=a%20b")
        assert connection.getresponse().read() == b"a b"
        connection.request("POST", "/", json.dumps({"value": [{"clientState": state}]}))
        assert connection.getresponse().status == 202
        connection.close()
        wait_until(lambda: has_notices(binding))
