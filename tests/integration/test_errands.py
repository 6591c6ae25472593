"""What a scheduler has done by processes of their own."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from waiting import wait_until

from populate.work.errands import Errand


def ends(errand: Errand) -> None:
    """Return once the process has ended by itself."""

    def ended() -> bool:
        errand.tend()
        return not errand.is_under_way

    wait_until(ended)


def test_an_errand_is_run_when_it_is_due_and_not_before(capfd: pytest.CaptureFixture[str]) -> None:
    errand = Errand("platform", 100_000.0)
    errand.tend()
    assert errand.is_under_way
    ends(errand)
    assert capfd.readouterr().out
    errand.tend()
    assert not errand.is_under_way


def test_a_reason_not_to_wait_is_heeded_once(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("populate.work.errands.LEAST_SECONDS", 0.0)
    reasons = [True, False]
    errand = Errand("platform", 100_000.0, lambda: bool(reasons) and reasons.pop(0))
    errand.tend()
    ends(errand)
    assert reasons == []
    assert len(capfd.readouterr().out.splitlines()) == 2


def test_one_that_fails_is_logged_and_does_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    errand = Errand("no_such_module_anywhere", 100_000.0)
    errand.tend()
    ends(errand)
    assert "no_such_module_anywhere ended with 1" in caplog.text


def test_one_that_lasts_is_never_started_twice_and_ends_when_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lasting.py").write_text("import time\ntime.sleep(1000)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    errand = Errand("lasting", 0.0)
    errand.tend()
    process = errand._process
    errand.tend()
    assert errand._process is process
    errand.end()
    assert not errand.is_under_way
    assert process is not None
    assert process.returncode == -signal.SIGTERM
