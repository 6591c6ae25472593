"""Decisions where a store does not answer, is none, or has what cannot be read: nothing goes that may be held."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from deciding import Set, restored

from data_platform.cli import main
from data_platform.errors import StoreUnavailable
from data_platform.settings import load
from populate.retention.keeping import hold, release
from schemas.binding import Binding

pytestmark = pytest.mark.parametrize("backend", ["postgresql"])  # no statement differs


@pytest.fixture(autouse=True)
def _set(set_store: Set) -> None:
    """Have the stores set before anything is bound."""


def test_each_decision_that_is_entered_is_told_before_contents_are(
    binding: Binding, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(binding, load(), "case \x1b17", below="/shares/x")
    hold(binding, load(), "case 18")
    release(binding, load(), 2)
    restored({})

    def refused(*_: object, **__: object) -> None:
        raise StoreUnavailable("No contents.")

    monkeypatch.setattr("populate.backup.rebuild.rebuild", refused)
    done = CliRunner().invoke(main, ["rebuild"])
    assert (done.exit_code, "No contents." in done.stderr) == (1, True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("entered: ")]
    assert [line.split(" of ")[0] for line in lines] == ["entered: hold 1", "entered: hold 2", "entered: release 2"]
    assert lines[0].endswith("reason case \N{REPLACEMENT CHARACTER}17, below /shares/x")
    restored({})
    done = CliRunner().invoke(main, ["rebuild", "--only-decisions"])
    assert [line for line in done.stdout.splitlines() if line.startswith("entered: ")] == lines
    assert "3 decisions about keeping were entered" in done.stdout
    restored({})
    told = json.loads(CliRunner().invoke(main, ["rebuild", "--only-decisions", "--json"]).stdout)
    assert [f"entered: {one}" for one in told["decisions"]][1:] == lines[1:]
