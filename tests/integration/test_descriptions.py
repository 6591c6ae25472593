"""What runs and files are about, from the delivery of a real script to what each person is told."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from deliveries import item, read
from small_company import NOW, asking, hire, path_id

from data_platform.errors import RestrictionError
from populate.describe.tables import Description, RunDescription
from populate.describe.view import describe_file, describe_run
from populate.ingest import Ingest
from populate.who.asker import Asker
from readers.backlog import Noted
from readers.delivery import deliver
from readers.run import run_record
from schemas.binding import Binding
from schemas.code import RunCode
from schemas.identity import identity

RUN = identity("run", "curves")
SCRIPT = '''"""Curves by arm."""
import pandas as pd

def medians(frame):
    """Median survival of each arm."""

print(pd.read_csv)
'''


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A script in a git repository, at a commit."""
    found = tmp_path / "curves.py"
    found.write_text(SCRIPT)
    identity_of = ("-c", "user.name=Amy", "-c", "user.email=amy@lab.example")
    for command in (("init", "-q"), ("add", "."), (*identity_of, "commit", "-q", "-m", "Add arm B\n\nMore of it.")):
        subprocess.run(["git", *command], cwd=tmp_path, check=True, env=_plain())
    return found


def _plain() -> dict[str, str]:
    return {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}


def run_of(script: Path, **changes: Any) -> dict[str, object]:
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=script.parent, check=True, capture_output=True, text=True, env=_plain()
    )
    facts = {"run_realm": "acme", "run_login": "amy", "execution_id": RUN, "entry_point": str(script), "dirty": False}
    told = {"repository": "https://git.example/trial.git", "commit_id": head.stdout.strip(), "argv": '["curves.py"]'}
    return run_record() | facts | told | changes


def hand_over(binding: Binding, run: dict[str, object], *paths: str, day: int = 0) -> None:
    """Deliver that Amy's run read Brendan's files, and have workers do what follows."""
    payload = json.dumps(run, default=str).encode()
    records = [read(item(path), "amy", path.encode(), day=day) for path in paths]
    noted = [Noted("segment", place, json.dumps(one).encode(), payload) for place, one in enumerate(records)]
    assert deliver(binding, noted, lambda noted, reason: pytest.fail(reason)) == len(paths)
    Ingest.populate()
    Description.populate()


def at(binding: Binding, login: str) -> Asker:
    return asking(binding, login, NOW)


def test_a_run_is_described_for_whoever_may_know_it(binding: Binding, script: Path) -> None:
    for login in ("amy", "brendan", "cem"):
        hire(login, "Screening")
    hand_over(binding, run_of(script), "/a/lung.csv", "/a/liver.csv")
    script.write_text(SCRIPT.replace("Curves", "Wiggles"))
    hand_over(binding, run_of(script), "/a/late.csv", day=1)
    assert (len(RunCode() & {"execution_id": RUN}), len(RunDescription())) == (2, 2)
    told = describe_run(at(binding, "amy"), RUN)
    commit = str(run_of(script)["commit_id"])[:12]
    assert told.summary == (
        f"Curves by arm. Script curves.py of https://git.example/trial at {commit} (Add arm B); "
        "defines medians (Median survival of each arm); uses pandas."
    )
    assert told.reads == ("late.csv", "liver.csv", "lung.csv")
    assert (told.generated, told.model) == ("", "")
    assert describe_run(at(binding, "brendan"), RUN) == told  # they are his files
    cem = at(binding, "cem")
    for run in (RUN, "0" * 32):
        with pytest.raises(RestrictionError, match="There is no such run"):
            describe_run(cem, run)
    file = describe_file(at(binding, "brendan"), path_id("/a/lung.csv"))
    assert (file.name, file.summary, file.runs) == ("lung.csv", "", (told,))
    with pytest.raises(RestrictionError, match="no such file"):
        describe_file(cem, path_id("/a/lung.csv"))


@pytest.mark.parametrize("backend", ["postgresql"])
def test_a_run_without_code_is_described_by_what_is_known(binding: Binding, script: Path) -> None:
    hire("amy", "Screening")
    hand_over(binding, run_of(script, host="elsewhere", argv='["curves.py", "--arm", "B"]'), "/a/lung.csv")
    assert len(RunCode()) == 0
    assert describe_run(at(binding, "amy"), RUN).summary.endswith("; options --arm.")
