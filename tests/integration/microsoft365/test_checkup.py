"""The doctor says whether Microsoft 365 can be asked, and what to do if not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from reading_world import Place, place

from data_platform.settings import Settings
from readers.microsoft365.checkup import checkup


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with place(tmp_path, monkeypatch) as found:
        yield found


def states(settings: Settings) -> dict[str, str]:
    return {seen.name.removeprefix("microsoft365").strip(): seen.state for seen in checkup(settings)}


def test_what_is_well(found: Place) -> None:
    assert states(found.settings(client_id="")) == {"": "note"}
    assert states(found.settings()) == {"": "ok", "sign-in": "note"}
    assert states(found.signed_in(found.amy, worker=True)) == {"": "ok", "sign-in": "ok", "worker": "ok"}


def test_what_is_not(found: Place) -> None:
    found.server.tokens.seconds = 60
    here = found.signed_in(found.amy)
    found.server.tokens.revoke(found.amy)
    [_, sign_in] = checkup(here)
    assert (sign_in.state, "data-platform login" in sign_in.detail) == ("todo", True)
    [_, _, worker] = checkup(found.settings(worker=True, client_secret="wrong-secret"))
    assert worker.state == "todo"
    assert "wrong-secret" not in worker.detail + worker.advice
    found.server.__exit__(None, None, None)
    assert states(here)["sign-in"] == "note"
    found.server.__enter__()
