"""The commands as a user types them, from the first read to a restored backup."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(900)  # many commands, each a new process
PROGRAM = [sys.executable, "-m", "data_platform"]
PATIENCE = 240.0  # seconds for one command on a very busy machine
FIRST, SECOND = b"time,status\n306,1\n", b"time,status\n306,0\n"
NUMBERS = {
    "accesses",
    "files",
    "versions",
    "blobs",
    "blob_bytes",
    "logical_bytes",
    "people",
    "share_edges",
    "executions",
    "backups_failed",
    "outbox_pending",
}


def run(*arguments: str | Path, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*PROGRAM, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert code == 0 or "Traceback" not in done.stderr
    return done


def run_json(*arguments: str | Path, code: int = 0) -> Any:
    return json.loads(run(*arguments, "--json", code=code).stdout)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_from_the_first_read_to_a_restored_backup(running: Path, tmp_path: Path) -> None:
    file = tmp_path / "lung trial.csv"
    file.write_bytes(FIRST)
    path = Path(run("read", file).stdout.rstrip("\n"))
    assert path.read_bytes() == FIRST
    assert path.name == file.name
    run("worker", "--once")
    file.write_bytes(SECOND)
    assert Path(run_json("read", file)["path"]).read_bytes() == SECOND
    run("flush")
    run("worker", "--once", "--processes", "2")

    status = run_json("status")
    assert set(status) >= NUMBERS
    assert [status[name] for name in ("accesses", "files", "versions", "blobs", "executions")] == [2, 1, 2, 2, 2]
    assert (status["blob_bytes"], status["backups_failed"], status["outbox_pending"]) == (len(FIRST + SECOND), 0, 0)

    old = Path(run("read", file, "--version", f"sha256:{sha256(FIRST)[:12]}").stdout.rstrip("\n"))
    assert old.read_bytes() == FIRST
    restored = tmp_path / "restored.csv"
    assert run("restore", sha256(FIRST), "--to", restored).stdout == f"{restored}\n"
    assert restored.read_bytes() == FIRST
    missing = run("restore", sha256(b"never read"), "--to", tmp_path / "x", code=1)
    assert missing.stderr.startswith("Error: ")
    assert not (tmp_path / "x").exists()

    assert run_json("check", "--verify-data") == []
    stored = next(p for p in (running / "store").rglob("*") if p.is_file() and p.read_bytes() == FIRST)
    stored.chmod(0o600)
    stored.write_bytes(FIRST.replace(b"306", b"307"))
    assert len(run_json("check", "--verify-data", code=1)) == 1
    stored.unlink()
    assert sha256(FIRST) in run("check", code=1).stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["read", "/no/such/file.csv"], 1, "/no/such/file.csv"),
        (["read", "gopher://old.example/x"], 1, "gopher"),
        (["read", "/etc/hostname", "--version", "latest"], 1, "sha256:"),
        (["read"], 2, "Missing argument"),
        (["worker", "--processes", "none"], 2, "Invalid value"),
    ],
)
def test_what_goes_wrong_is_one_sentence(home: Path, arguments: list[str], code: int, says: str) -> None:
    done = run(*arguments, code=code, DATA_PLATFORM_OUTBOX__SHIP="false")
    assert says in done.stderr
    assert done.stdout == ""
    assert code == 2 or len(done.stderr.splitlines()) == 1


def test_debug_shows_the_traceback(home: Path) -> None:
    for environment in ({"DATA_PLATFORM_DEBUG": "1"}, {}):
        flag = [] if environment else ["--debug"]
        done = subprocess.run(
            [*PROGRAM, *flag, "read", "/no/such/file.csv"],
            capture_output=True,
            text=True,
            env={**os.environ, "DATA_PLATFORM_OUTBOX__SHIP": "false", **environment},
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 1
        assert "Traceback" in done.stderr
        assert "SourceNotFound" in done.stderr


def test_wrong_settings_are_one_sentence_without_their_values(home: Path) -> None:
    done = run("status", code=1, DATA_PLATFORM_DATABASE__PORT="Canary-7f3a")
    assert "database.port" in done.stderr
    assert "Canary-7f3a" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_fresh_installation_is_deployed_and_well(running: Path) -> None:
    assert "data_platform_sharing" in run_json("deploy")["schemas"]
    report = json.loads(run("doctor", "--json").stdout)
    assert report["well"]
    assert {finding["state"] for finding in report["findings"]} <= {"ok", "note"}
    names = {finding["name"] for finding in report["findings"]}
    assert {
        "home",
        "database",
        "clock",
        "store",
        "cache",
        "outbox",
        "shipper",
        "reader file",
        "search index",
        "git",
    } <= names
    assert "database" in run("doctor").stdout
    assert run_json("check") == []  # what the doctor wrote into the store is nobody's problem


def test_the_doctor_says_what_to_do_and_exits_with_1(home: Path, tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("where a folder should be")
    broken = {
        "DATA_PLATFORM_STORE__URL": str(tmp_path / "a file"),
        "DATA_PLATFORM_DATABASE__BACKEND": "postgresql",
        "DATA_PLATFORM_DATABASE__PORT": "1",
        "DATA_PLATFORM_DATABASE__PASSWORD": "Canary-7f3a",
    }
    done = run("doctor", code=1, **broken)
    assert "TODO database" in done.stdout
    assert "TODO store" in done.stdout
    assert "→ Check the settings `database.*`" in done.stdout
    assert re.search(r"^database\.password +environment +set$", done.stdout, re.MULTILINE)
    assert "Canary-7f3a" not in done.stdout + done.stderr


def test_the_program_tells_its_version(home: Path) -> None:
    from data_platform import __version__

    assert run("--version").stdout.strip().endswith(__version__)


def test_a_path_that_would_not_outlive_the_command_is_no_answer(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2\n")
    (tmp_path / "home").write_text("no folder")
    told = run("read", tmp_path / "a.csv", code=1, DATA_PLATFORM_HOME=str(tmp_path / "home" / "x"))
    assert told.stdout == ""
    assert "Make room, or set DATA_PLATFORM_HOME" in told.stderr
