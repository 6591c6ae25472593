"""Files that are new or none: no name before they are whole, none taken from others, and nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from data_platform.errors import RestoreError
from populate.backup import new_file as module
from populate.backup.new_file import new_file

PIECES = [b"a" * 3000, b"", b"b" * 5]
KILLED = """
import os, signal, sys
from populate.backup.new_file import new_file
with new_file(sys.argv[1]) as file:
    file.write(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def unlinkable(source: str, target: str | Path, **options: Any) -> None:
    """Answer as the kernel does where there are no links."""
    if os.path.lexists(target):
        raise FileExistsError(17, "File exists")
    raise PermissionError(1, "Operation not permitted")


def without_unnamed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(module, "_UNNAMED", 0)


def without_links(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("os.link", unlinkable)


@pytest.mark.parametrize("ways", [[], [without_unnamed], [without_links], [without_unnamed, without_links]])
def test_it_has_no_name_before_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ways: list[Any]) -> None:
    for way in ways:
        way(monkeypatch)
    target = tmp_path / "a.csv"
    with new_file(target) as file:
        for piece in PIECES:
            file.write(piece)
        assert not target.exists()
        file.date(1_600_000_000_123_456_789)
        assert file.publish()
    assert (target.read_bytes(), target.stat().st_mtime_ns) == (b"".join(PIECES), 1_600_000_000_123_456_789)
    (tmp_path / "plain").touch()
    assert target.stat().st_mode == (tmp_path / "plain").stat().st_mode
    with new_file(os.fspath(target)) as file:
        file.write(b"another one")
        assert not file.publish()
    with new_file(tmp_path / "dropped") as file:
        file.write(b"half")
    assert target.read_bytes() == b"".join(PIECES)
    assert names_in(tmp_path) == ["a.csv", "plain"]
    with pytest.raises(RestoreError, match="existing folder"), new_file(tmp_path / "nowhere" / "a.csv"):
        pass


def test_a_relative_name_is_of_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with new_file("a.csv") as file:
        file.write(b"1,2")
        assert file.publish()
    assert (tmp_path / "a.csv").read_bytes() == b"1,2"


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="only Linux has files without a name")
def test_nobody_can_take_its_place_and_a_kill_leaves_nothing(tmp_path: Path) -> None:
    try:
        os.close(os.open(tmp_path, os.O_RDWR | os.O_TMPFILE))
    except OSError:
        pytest.skip("the file system of the tests has none either")
    with new_file(tmp_path / "a.csv") as file:
        file.write(b"1,2")
        assert names_in(tmp_path) == []
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "a.csv")], timeout=280, check=False)
    assert (done.returncode, names_in(tmp_path)) == (-9, [])
