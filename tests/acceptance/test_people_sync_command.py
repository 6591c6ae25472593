"""People from a table and from a directory, as an administrator types it and as the scheduler does it by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from servers.processes import start, stop, wait_until

from schemas.people import Person

pytestmark = pytest.mark.timeout(900)  # several commands, each a new process
PROGRAM = [sys.executable, "-m", "data_platform"]
PATIENCE = 240.0  # seconds for one command on a very busy machine
TABLE = "login,name,department,manager\namy,Amy Ash,Chemistry,zoe\nben,Ben Bay,Physics,zoe\nzoe,Zoë Zander,Physics,\n"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *arguments], capture_output=True, text=True, env={**os.environ}, timeout=PATIENCE, check=False
    )


def test_a_table_is_synced_by_a_command(running: Path, tmp_path: Path) -> None:
    table = tmp_path / "people.csv"
    table.write_text(TABLE, encoding="utf-8")
    tried = run("sync", "people", "--from", "csv", table, "--dry-run", "--json")
    assert (tried.returncode, json.loads(tried.stdout)["new"]) == (0, 3), tried.stderr
    assert len(Person()) == 0
    done = run("sync", "people", table, "--json")
    assert json.loads(done.stdout) | {"odd": []} == json.loads(tried.stdout) | {"dry_run": False}
    assert {row["full_name"] for row in Person.to_dicts()} == {"Amy Ash", "Ben Bay", "Zoë Zander"}
    table.write_text("login\namy\n")
    refused = run("sync", "people", table)
    assert refused.returncode == 1
    assert "--allow-drop" in refused.stderr
    assert refused.stderr.count("Error") == 1
    nowhere = run("sync", "people")
    assert (nowhere.returncode, "directory.source" in nowhere.stderr) == (1, True)


def test_the_scheduler_syncs_by_itself(running: Path, tmp_path: Path) -> None:
    table, log = tmp_path / "people.csv", tmp_path / "log"
    table.write_text(TABLE, encoding="utf-8")
    configured = {"DATA_PLATFORM_DIRECTORY__SOURCE": "csv", "DATA_PLATFORM_DIRECTORY__CSV": str(table)}
    process = start([*PROGRAM, "scheduler"], log, {**os.environ, **configured})
    try:
        wait_until(lambda: len(Person()) == 3, "people", [process], log)
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE)
        stop([process])
