"""What does not fit into memory is sorted on disk, and nothing of it stays."""

from __future__ import annotations

import os
import random
import tempfile
from pathlib import Path

import pytest

from data_platform.errors import SourceUnavailable
from data_platform.settings import load
from readers import sorted_runs
from readers.file import FileSource
from readers.sorted_runs import in_order

ODD = ["", "a\nb", "é", os.fsdecode(b"\xff.csv"), '"', "\0"]  # names need not be Unicode, nor one line


@pytest.fixture(autouse=True)
def short_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorted_runs, "RUN", 7)
    monkeypatch.setattr(sorted_runs, "BLOCK", 3)


@pytest.mark.parametrize("number", [0, 1, 6, 7, 8, 14, 100])
def test_entries_come_back_sorted(number: int) -> None:
    chance = random.Random(number)
    entries = [(chance.randrange(2), chance.choice(ODD) + str(one), one) for one in range(number)]
    chance.shuffle(entries)
    assert list(in_order(iter(entries))) == sorted(entries)


def test_the_file_is_closed_however_it_ends() -> None:
    """A file that is left open is a warning, and so an error."""
    some = [(one,) for one in range(50)]
    in_order(some)
    assert next(in_order(some)) == (0,)

    def broken() -> object:
        yield from some
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        in_order(broken())  # type: ignore[arg-type]


def test_a_folder_is_listed_as_a_small_one_is(tmp_path: Path) -> None:
    """Files of a folder first, then what is below its folders, both by name."""
    top = tmp_path / "share"
    names = [
        f"{folder}{name}" for folder in ("", "b/", "a/", "a/c/") for name in ("z", "y\n", "é", *map(str, range(9)))
    ]
    names += [f"many/{number}/x" for number in range(20)]
    for name in names:
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (top / "odd").mkdir()
    odd = os.fsencode(top / "odd") + b"/\xff"
    os.close(os.open(odd, os.O_CREAT))
    source = FileSource(load(home=tmp_path / "home"))
    found = [path for path, _ in source.list(source.resolve(str(top)))]
    listed = [(name.split("/"), name) for name in [*names, os.fsdecode(b"odd/\xff")]]
    assert found == [
        name for parts, name in sorted(listed, key=lambda one: [*((1, p) for p in one[0][:-1]), (0, one[0][-1])])
    ]


def test_a_folder_is_not_taken_for_missing_when_the_temporary_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = tmp_path / "share"
    for number in range(8):
        (top / "many").mkdir(parents=True, exist_ok=True)
        (top / "many" / str(number)).touch()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    source = FileSource(load(home=tmp_path / "home"))
    refused: dict[str, Exception] = {}
    assert list(source.walk(source.resolve(str(top)), refused.__setitem__)) == []
    assert list(refused) == ["many/"]
    assert isinstance(refused["many/"], SourceUnavailable)
    assert "TMPDIR" in str(refused["many/"])
