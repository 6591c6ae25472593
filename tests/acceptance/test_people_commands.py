"""Whom to ask and the monthly report, as users type them, from real reads of two colleagues."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(900)  # many commands, each a new process
PROGRAM = [sys.executable, "-m", "data_platform"]
PATIENCE = 240.0  # seconds for one command on a very busy machine


def run(account: str, *arguments: str | Path, **environment: str) -> str:
    done = subprocess.run(
        [*PROGRAM, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "DATA_PLATFORM_REALM": "lab", "DATA_PLATFORM_ACCOUNT": account, **environment},
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_json(account: str, *arguments: str | Path) -> Any:
    return json.loads(run(account, *arguments, "--json"))


def test_from_a_read_to_whom_to_ask_and_the_report(running: Path, tmp_path: Path) -> None:
    file = tmp_path / "maria" / "ITX_47213" / "flow plate.csv"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x")
    owners = {"DATA_PLATFORM_FILE__OWNERS": json.dumps({str(tmp_path / "maria"): "maria"})}
    for account in ("amy", "ben"):
        run(account, "read", file, DATA_PLATFORM_OUTBOX__SHIP="false", **owners)
    run("amy", "flush")
    run("amy", "worker", "--once")

    maria, ben = run_json("amy", "who", "flow ITX_47213")
    assert (maria["name"], maria["reason"]) == ("maria", "owns flow plate.csv")
    assert maria["route"] == "directly: maria shared 1 file with you"
    assert (ben["name"], ben["route"]) == ("ben", "via maria, who shared 1 file with you")
    assert [found["name"] for found in run_json("amy", "who", file)] == ["maria", "ben"]
    assert run("eve", "who", "flow ITX_47213") == "Nobody is known for that.\n"
    assert run("ben", "findable", "closed") == "closed\n"
    assert "ben" not in run("amy", "who", "flow ITX_47213")

    run("amy", "snapshot")
    target = tmp_path / "report.html"
    assert run("amy", "report", "--to", target) == f"{target}\n"
    assert "maria" not in target.read_text(encoding="utf-8")
