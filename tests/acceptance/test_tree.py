"""Ten thousand real files, three people, and back: what was read is what is restored."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

FILES = 10_000
PEOPLE = ("amy", "brendan", "colin")
SHARED = 10
"""One of so many files is read by everybody."""

SOME = 20
"""One of so many contents is restored by its hash, too."""

PROGRAM = [sys.executable, "-m", "data_platform"]
READER = """
import sys
from data_platform import read_file
for line in sys.stdin:
    print(read_file(line.rstrip("\\n")))
"""
RESTORER = """
import sys
from data_platform import restore
for line in sys.stdin:
    sha256, to = line.split()
    restore(sha256, to)
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of installed packages: real files, many of them alike, some of them empty."""
    folder = tmp_path_factory.mktemp("share")
    installed = Path(sysconfig.get_path("purelib"))
    taken = 0
    for source in sorted(installed.rglob("*")):
        if source.is_file() and not source.is_symlink() and "\n" not in source.name and source.stat().st_size < 200_000:
            target = folder / source.relative_to(installed)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            taken += 1
            if taken == FILES:
                break
    assert taken == FILES
    return folder


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _distinct_contents(tree: Path) -> set[str]:
    """Count contents with a tool that has nothing of ours."""
    listed = subprocess.run(
        "find . -type f -print0 | xargs -0 sha256sum", shell=True, cwd=tree, check=True, capture_output=True, text=True
    )
    return {line.split()[0].lstrip("\\") for line in listed.stdout.splitlines()}


def _run(home: Path, *arguments: str, person: str = "", text: str | None = None) -> str:
    environment = {**os.environ, "DATA_PLATFORM_HOME": str(home)}
    if person:
        environment["DATA_PLATFORM_ACCOUNT"] = person
    done = subprocess.run(arguments, input=text, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_tree_read_by_three_people_comes_back_bit_for_bit(tree: Path, home: Path, tmp_path: Path) -> None:
    files = _files(tree)
    reads = 0
    for number, person in enumerate(PEOPLE):  # everybody reads a third, and what all of them read
        wanted = [str(path) for i, path in enumerate(files) if i % len(PEOPLE) == number or i % SHARED == 0]
        reads += len(wanted)
        served = _run(home, sys.executable, "-c", READER, person=person, text="\n".join(wanted)).splitlines()
        assert len(served) == len(wanted)
        for original, copy in zip(wanted[::97], served[::97], strict=True):
            assert Path(copy).read_bytes() == Path(original).read_bytes()
            assert Path(copy).name == Path(original).name

    _run(home, *PROGRAM, "worker", "--once", "--processes", "2")
    counts = json.loads(_run(home, *PROGRAM, "status", "--json"))
    distinct = _distinct_contents(tree)
    assert counts["accesses"] == reads > FILES
    assert counts["files"] == counts["versions"] == FILES
    assert counts["blobs"] == len(distinct)
    assert counts["logical_bytes"] == sum(path.stat().st_size for path in files)
    assert (counts["outbox_pending"], counts["backups_failed"]) == (0, 0)

    _run(home, *PROGRAM, "restore-files", "--to", str(tmp_path / "back"))
    (back,) = (tmp_path / "back").rglob(tree.name)
    assert [path.relative_to(back) for path in _files(back)] == [path.relative_to(tree) for path in files]
    assert all((back / path.relative_to(tree)).read_bytes() == path.read_bytes() for path in files)
    some = sorted(distinct)[::SOME]
    _run(home, sys.executable, "-c", RESTORER, text="\n".join(f"{sha256} {tmp_path / sha256}" for sha256 in some))
    assert all(hashlib.sha256((tmp_path / sha256).read_bytes()).hexdigest() == sha256 for sha256 in some)
    assert json.loads(_run(home, *PROGRAM, "check", "--verify-data", "--json")) == []
