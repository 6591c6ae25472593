"""``data-platform adopt`` as a user types it: on a share of twenty thousand files, stopped, wrong, and again."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from populate.adopt.tables import Adopt, AdoptMember
from schemas.catalogue import Version
from schemas.sharing import Access

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
PROGRAM = [sys.executable, "-m", "data_platform"]
PATIENCE = 600.0
FEW, MANY = 400, 20_000
MORE_MEMORY = 100 * 1024  # KiB that fifty times as many files may take; all of them at once take more


def run(*arguments: str | Path, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [*PROGRAM, *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **environment}, timeout=PATIENCE, check=False
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def printed(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the lines that were printed, with single blanks."""
    return [" ".join(line.split()) for line in done.stdout.splitlines()]


def grow(share: Path, files: int) -> Path:
    """Make a tree of small files, every tenth alike."""
    for number in range(files):
        folder = share / f"d{number % 200}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.csv").write_bytes(b"%d\n" % (number // 10))
    return share


def most_memory(*arguments: str | Path) -> tuple[int, Any]:
    """Run a command; return the most memory that it held, in KiB, and the JSON that it printed."""
    with subprocess.Popen(
        [*PROGRAM, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    memory: resource.struct_rusage = used
    return memory.ru_maxrss // (1024 if sys.platform == "darwin" else 1), json.loads(printed)


def test_twenty_thousand_files_take_no_more_memory_than_a_few_hundred(running: Path, tmp_path: Path) -> None:
    little, few = most_memory("adopt", grow(tmp_path / "few", FEW), "--json")
    much, many = most_memory("adopt", grow(tmp_path / "many", MANY), "--json")
    assert (few["taken"], many["taken"], many["unread"], many["left"]) == (FEW, MANY, [], 0)
    assert many["found"]["new"] == MANY
    assert len(Version()) == FEW + MANY
    assert not Access()
    assert much - little < MORE_MEMORY
    again = run("adopt", tmp_path / "many", "--json")
    assert json.loads(again.stdout)["found"]["known"] == MANY
    assert json.loads(run("check", "--json").stdout) == []


def test_what_it_says_and_how_a_file_comes_back(running: Path, tmp_path: Path) -> None:
    share = grow(tmp_path / "share", 30)
    dry = run("adopt", share, "--dry-run")
    assert {"files found 30", "new 30", "bytes to read 60 bytes"} <= set(printed(dry))
    assert "bytes to read" in dry.stdout
    planned = run("adopt", share, "--no-work")
    assert "Batches left to workers: 1." in planned.stderr
    run("worker", "--once")
    (share / "d1" / "1.csv").write_bytes(b"changed\n")
    (share / "d2" / "2.csv").unlink()
    done = run("adopt", share, "--files-per-second", "1000", "--bytes-per-second", "20M")
    assert [line for line in printed(done) if not line.startswith("bytes found")] == [
        "files found 29",
        "new 0",
        "changed 1",
        "known 28",
        "planned before 0",
        "gone 1",
        "taken in 1",
        "bytes read 8 bytes",
        "not read 0",
    ]
    assert "adopt: 1 of 1 files taken in" in done.stderr
    path = run("read", share / "d1" / "1.csv").stdout.rstrip("\n")
    assert Path(path).read_bytes() == b"changed\n"
    restored = run(
        "restore", "9a271f2a916b0b6ee6cecb2426f0b3206ef074578be55d9bc94f6f3fe3ab86aa", "--to", tmp_path / "x"
    )
    assert (tmp_path / "x").read_bytes() == b"0\n"
    assert restored.stdout == f"{tmp_path / 'x'}\n"


def test_stopped_it_says_how_to_go_on(running: Path, tmp_path: Path) -> None:
    share = grow(tmp_path / "share", 300)
    command = [*PROGRAM, "adopt", str(share), "--files-per-second", "5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + PATIENCE
        while not (Adopt().jobs & "status = 'reserved'"):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, said
    assert "The same command goes on." in said
    assert "Traceback" not in said
    assert not (Adopt().jobs & "status = 'reserved'")
    assert len(AdoptMember()) == 300


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["/no/such/share"], 1, "/no/such/share"),
        (["/etc/hostname"], 1, "is a file"),
        (["https://data.example.org/folder/"], 1, "lead to single files"),
        (["gopher://old.example/x"], 1, "gopher"),
        ([], 2, "Missing argument"),
        (["/tmp", "--files-per-second", "0"], 2, "Invalid value"),
        (["/tmp", "--bytes-per-second", "fast"], 2, "20M"),
    ],
)
def test_what_is_wrong_is_one_sentence(home: Path, arguments: list[str], code: int, says: str) -> None:
    done = run("adopt", *arguments, code=code)
    assert says in done.stderr
    assert done.stdout == ""
    assert code == 2 or len(done.stderr.splitlines()) == 1
