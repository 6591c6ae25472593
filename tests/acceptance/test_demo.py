"""The demo as a user types it: twice, on one's own folder, and served until it is stopped."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from data_platform.demo import shares
from data_platform.demo.company import PEOPLE, departments
from data_platform.errors import DatabaseUnavailable
from data_platform.settings import isolated_environment
from schemas.embedded import EmbeddedServer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
]  # the demo plays for half a minute, on a busy machine for many
PROGRAM = [sys.executable, "-m", "data_platform"]
PATIENCE = 600.0  # seconds, on a very busy machine
QUERY = """
import json
from populate.pipeline import bind_all
from schemas.sharing import Access, Execution
bind_all()
print(json.dumps({
    "outcomes": sorted(set(Access.to_arrays("outcome").tolist())),
    "readers": sorted(set(Access.to_arrays("account_login").tolist())),
    "on_behalf_of": sorted(set(Access.to_arrays("on_behalf_of").tolist()) - {""}),
    "owners": sorted(set(Access.to_arrays("owner_login").tolist()) - {""}),
    "commits": sorted(set(Execution.to_arrays("commit_id").tolist())),
    "repositories": sorted(set(Execution.to_arrays("repository").tolist())),
}))
"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """Play the demo once; return its home and what it printed."""
    home = tmp_path_factory.mktemp("demo") / "home"
    yield home, play("--no-serve", home=home).stdout
    remove_database(home)


def remove_database(home: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return EmbeddedServer(home).remove()
        except DatabaseUnavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def play(*arguments: str | Path, home: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    own = home.parent / "the user's own catalogue"
    done = subprocess.run(
        [*PROGRAM, "demo", "--home", home, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "DATA_PLATFORM_HOME": str(own), "DATA_PLATFORM_ACCOUNT": "whoever.runs.this"},
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert not own.exists()
    return done


def inside(home: Path, *command: str) -> dict[str, int]:
    """Run a command on the demo's catalogue and return the JSON that it prints."""
    done = subprocess.run(
        command, capture_output=True, text=True, env=isolated_environment(home), timeout=PATIENCE, check=True
    )
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def status(home: Path) -> dict[str, int]:
    """Return what is counted; when it was counted is another time each time."""
    numbers: dict[str, int] = inside(home, *PROGRAM, "status", "--json")
    del numbers["counted_at"]
    return numbers


def test_the_numbers_are_those_of_the_files(demo: tuple[Path, str]) -> None:
    home, _ = demo
    numbers = status(home)
    on_disk = [path for path in (home / "shares").rglob("*") if path.is_file()]
    contents = {hashlib.sha256(path.read_bytes()).hexdigest() for path in on_disk}
    assert numbers["files"] == len(on_disk) + 1  # and the folder that was read as a file set
    assert numbers["versions"] == numbers["files"] + 1  # and the trial before its correction
    assert numbers["blobs"] == numbers["blobs_backed_up"] == len(contents) + 1  # and the file set's manifest
    assert len(on_disk) - len(contents) == len(shares.COPIES) - 1  # lung.csv was corrected after it was copied
    assert numbers["blob_bytes"] < numbers["logical_bytes"]
    assert (numbers["backups_failed"], numbers["outbox_pending"]) == (0, 0)


def test_reads_are_those_of_the_invented_colleagues(demo: tuple[Path, str]) -> None:
    home, _ = demo
    known = inside(home, sys.executable, "-c", QUERY)
    logins = {colleague.login for colleague in PEOPLE}
    assert known["outcomes"] == ["UnsupportedItem", "ok"]  # type: ignore[comparison-overlap]
    assert set(known["readers"]) == logins  # type: ignore[call-overload]
    assert set(known["owners"]) < logins  # type: ignore[call-overload]
    assert known["on_behalf_of"] == ["elena.petrova"]  # type: ignore[comparison-overlap]
    if shutil.which("git"):
        assert all(re.fullmatch("[0-9a-f]{40}", commit) for commit in known["commits"])  # type: ignore[attr-defined]
        assert known["repositories"] == ["https://git.example.org/example-biotech/analyses.git"]  # type: ignore[comparison-overlap]


def test_the_summary_answers_three_questions_and_really_restores(demo: tuple[Path, str]) -> None:
    home, said = demo
    assert "All people are invented." in said
    assert said.count("?\n") == 3
    assert "Who reads Maria Rossi's files?" in said
    assert "lung.csv of Lukas Novak; lung.csv of Maria Rossi" in said
    restored = Path(said.split("hashed again: the same bytes: ")[1].split("\n")[0])
    assert restored.read_bytes() == shares.dataset("lung.csv")
    assert (home / "shares" / shares.TRIAL).read_bytes() != shares.dataset("lung.csv")


def test_a_second_run_adds_nothing(demo: tuple[Path, str]) -> None:
    home, said = demo
    before = status(home)
    again = play("--no-serve", home=home).stdout
    assert again.count("not repeated") == 3
    assert status(home) == before
    assert again.split("What the catalogue knows")[1] == said.split("What the catalogue knows")[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_is_served_until_it_is_stopped(demo: tuple[Path, str], number: signal.Signals) -> None:
    home, _ = demo
    process = subprocess.Popen(
        [*PROGRAM, "demo", "--home", home], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        address = next(line.split()[1] for line in process.stdout if line.startswith("Dashboard: "))
        assert address.startswith("http://127.0.0.1:")
        assert answer(f"{address}/_stcore/health") == b"ok"
        process.send_signal(number)
        _, complaints = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, complaints
    assert "Traceback" not in complaints


def answer(url: str) -> bytes:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(url, timeout=30) as response:
                return bytes(response.read())
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def test_ones_own_folder_is_read_and_left_as_it_is(tmp_path: Path) -> None:
    folder, home = tmp_path / "my data", tmp_path / "home"
    for name, content in {"a.csv": b"a", "deep/b.csv": b"b", "deep/copy of b.csv": b"b", ".hidden": b"h"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    try:
        assert "not repeated" not in play(folder, "--no-serve", home=home).stdout
        numbers = status(home)
        assert (numbers["files"], numbers["versions"], numbers["blobs"]) == (3, 3, 2)
        play(folder, "--no-serve", home=home)
        again = status(home)
        assert {name for name in numbers if again[name] != numbers[name]} == {"accesses", "executions"}
        assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    finally:
        remove_database(home)


def test_a_home_that_is_not_a_demos_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "data-platform.toml").write_text('realm = "the real one"\n')
    done = play("--no-serve", home=tmp_path / "home", code=1)
    assert "not a demo's home" in done.stderr
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["data-platform.toml"]


def test_every_data_set_has_its_publication_and_every_person_a_department() -> None:
    notice = (files("data_platform.demo") / "NOTICE.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in notice for name in shares.LAYOUT.values())
    assert len(departments()) == 4
    assert len(PEOPLE) == 9
