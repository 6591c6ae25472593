"""Services and status as an operator meets them: JSON logs, a status that is redrawn, what needs a person."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from data_platform.cli.watching import HOME
from data_platform.settings import settings
from populate.backup.tables import Backup
from populate.ingest import Ingest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # many commands, each a new process
PROGRAM = [sys.executable, "-m", "data_platform"]
PATIENCE = 240.0


def run(
    *arguments: str | Path, code: int = 0, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command, env = [*PROGRAM, *map(str, arguments)], os.environ | (environment or {})
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=PATIENCE, check=False)
    assert done.returncode == code, done.stderr
    return done


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_logs_are_json_and_what_needs_a_person_is_told_and_tried_again(running: Path, tmp_path: Path) -> None:
    kept, gone = tmp_path / "kept.csv", tmp_path / "gone.csv"
    for file in (kept, gone):
        file.write_bytes(file.name.encode())
        run("read", file)
    gone.unlink()
    shutil.rmtree(settings().cache_folder)
    secret = "s3cr3t-s3cr3t-s3cr3t"
    logged = {"DATA_PLATFORM_LOG__FORMAT": "json", "DATA_PLATFORM_LOG__LEVEL": "info"}
    done = run("worker", "--once", environment={**logged, "DATA_PLATFORM_STORE__SECRET_KEY": secret})
    jobs = [line for line in lines(done.stderr) if "table" in line]
    assert {line["table"] for line in jobs} >= {"Ingest", "Backup"}
    for line in jobs:
        assert line["level"] == "info"
        assert (line["outcome"], line["seconds"] > 0) == ("made", True)
    made = [line["key"] for line in jobs if line["table"] == "Ingest"]
    assert sorted(key["batch_id"] for key in made) == sorted(Ingest.to_arrays("batch_id"))
    assert len([line for line in jobs if line["table"] == "Backup"]) == len(Backup())
    assert secret not in done.stdout + done.stderr

    told = json.loads(run("status", "--json").stdout)
    assert told["needs_person"] == 1
    (need,) = told["needing_a_person"]
    assert (need["what"], need["tries"]) == ("BackupFailure", 1)
    assert need["reason"].startswith("SourceNotFound: ")
    page = run("status").stdout
    assert "data-platform retry" in page
    assert need["key"]["file_id"] in page
    gone.write_bytes(gone.name.encode())
    assert json.loads(run("retry", "--json").stdout) == {"jobs": 0, "versions": 1, "damaged": 0}
    run("worker", "--once")
    assert json.loads(run("status", "--json").stdout)["backups_failed"] == 0

    port = {"DATA_PLATFORM_MONITOR__PORT": "1"}
    assert json.loads(run("health", "--json", code=1, environment=port).stdout)["ready"] is False
    lost = {"BACKEND": "mysql", "PORT": "1", "PASSWORD": secret}
    logged |= {f"DATA_PLATFORM_DATABASE__{name}": value for name, value in lost.items()}
    done = run("scheduler", code=1, environment=logged)
    assert [line["level"] for line in lines(done.stderr)][-1] == "error"
    assert secret not in done.stdout + done.stderr


@contextmanager
def watching(errors: Path, *arguments: str, terminal: bool) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run ``status --watch``; return the process and where its output is read. Ctrl-C ends it without complaint."""
    reading, writing = pty.openpty() if terminal else os.pipe()
    command = [*PROGRAM, "status", "--watch", "--interval", "0.2", *arguments]
    with errors.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=writing, stderr=output)
    os.close(writing)
    try:
        yield process, reading
        process.send_signal(signal.SIGINT)
        drain(process, reading)
        assert (process.wait(PATIENCE), errors.read_text()) == (0, "")
    finally:
        process.kill()
        process.wait()
        os.close(reading)


def drain(process: subprocess.Popen[bytes], reading: int) -> None:
    """Read until the process has ended, so that it does not wait for a reader."""
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None:
        assert time.monotonic() < deadline, "it does not end"
        if select.select([reading], [], [], 0.1)[0]:
            with suppress(OSError):  # Linux tells so that a terminal has no writer any more
                os.read(reading, 65536)


def read_until(process: subprocess.Popen[bytes], reading: int, text: str, times: int) -> str:
    """Return the output once it holds `text` so many times."""
    deadline, found = time.monotonic() + PATIENCE, b""
    while found.count(text.encode()) < times:
        assert time.monotonic() < deadline, found
        if select.select([reading], [], [], 1.0)[0]:
            found += os.read(reading, 65536)
        else:
            assert process.poll() is None
    return found.decode()


def test_status_is_redrawn_on_a_terminal(running: Path, tmp_path: Path) -> None:
    with watching(tmp_path / "errors", terminal=True) as (process, reading):
        shown = read_until(process, reading, HOME, 3)
    frames = shown.split(HOME)
    for frame in frames[1:3]:
        assert "batches pending" in frame
        assert "oldest waits" in frame
    assert "Ingest" in frames[1]


def test_status_is_a_line_each_time_elsewhere(running: Path, tmp_path: Path) -> None:
    with watching(tmp_path / "errors", terminal=False) as (process, reading):
        shown = read_until(process, reading, "\n", 3).splitlines()
    assert all(" batches_pending=0 " in line and " needs_person=0 " in line for line in shown[:3])
    with watching(tmp_path / "errors", "--json", terminal=False) as (process, reading):
        shown = read_until(process, reading, "\n", 2).splitlines()
    assert [json.loads(line)["queues"][0]["table"] for line in shown[:2]] == ["Ingest", "Ingest"]
