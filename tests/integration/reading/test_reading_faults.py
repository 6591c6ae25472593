"""Reads from a source that changes or tells wrong sizes, and on a disk that is full."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from read_noted import UnsteadySource, accesses, half_things, write
from small_disk import small_disk

from data_platform.errors import (
    CacheError,
    IncompleteDownload,
    SourceChanged,
)
from data_platform.settings import Settings, settings
from readers import freshness
from readers.reading import read
from readers.source import Revision

# --- what is known of the bytes


def test_a_read_does_not_depend_on_what_is_known_of_its_bytes(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("odd")

    monkeypatch.setattr(freshness, "late", broken)
    assert read(write(shared / "a.csv", b"1")).read_bytes() == b"1"
    assert [noted["outcome"] for noted in accesses()] == ["ok"]


# --- a source that changes, or tells wrong sizes


def test_a_source_that_changes_is_read_again(unsteady: type[UnsteadySource]) -> None:
    unsteady.failures = 2
    assert read("x", kind="unsteady").read_bytes() == b"whole"
    assert unsteady.downloads == 3
    (noted,) = accesses()
    assert (noted["outcome"], noted["revision"]) == ("ok", "2")


def test_a_source_that_keeps_changing_is_refused(unsteady: type[UnsteadySource]) -> None:
    unsteady.failures = 3
    with pytest.raises(SourceChanged):
        read("x", kind="unsteady")
    assert unsteady.downloads == 3
    assert [noted["outcome"] for noted in accesses()] == ["SourceChanged"]
    assert half_things() == []


@pytest.mark.parametrize("told", [4, 6])
def test_bytes_that_are_not_as_many_as_announced_are_refused(unsteady: type[UnsteadySource], told: int) -> None:
    unsteady.told = told
    with pytest.raises(IncompleteDownload, match=f"has {told} bytes and 5 were received") as caught:
        read("x", kind="unsteady")
    assert isinstance(caught.value, EOFError)
    assert half_things() == []


def test_a_size_that_is_not_told_is_counted(unsteady: type[UnsteadySource], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unsteady, "revision", lambda source, item: Revision("same"))
    for _ in range(2):
        read("x", kind="unsteady")
    assert [(noted["access_size"], noted.get("from_cache", False)) for noted in accesses()] == [(5, False), (5, True)]


# --- disk full

READ_AND_REPORT = """
import logging, resource, sys
from pathlib import Path
logging.basicConfig(level=logging.WARNING)
from readers import freshness
from readers.reading import read
if len(sys.argv) > 2:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), -1))
try:
    path = read(sys.argv[1])
    print(path, len(path.read_bytes()))
except OSError as error:
    print(type(error).__name__, error.errno)
"""


def run_reader(original: Path, *arguments: str, temporary: Path) -> subprocess.CompletedProcess[str]:
    temporary.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-c", READ_AND_REPORT, str(original), *arguments],
        env={**os.environ, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=True,
    )


def test_when_the_cache_is_full_the_read_still_works(shared: Path, home: Path, tmp_path: Path) -> None:
    original = write(shared / "large.bin", b"x" * (3 << 20))
    home.mkdir()
    with small_disk(home / "cache", "size=1m") as disk:
        done = run_reader(original, temporary=tmp_path / "temporary")
        assert list(disk.glob("incoming/*")) == []
    path, size = done.stdout.split()
    assert int(size) == 3 << 20
    assert Path(path).is_relative_to(tmp_path / "temporary")
    assert "The cache in" in done.stderr
    assert list((tmp_path / "temporary").iterdir()) == []  # it ended with the process
    (noted,) = accesses()
    assert (noted["outcome"], noted["access_size"]) == ("ok", 3 << 20)


def test_when_nothing_takes_the_bytes_the_error_says_so(shared: Path, home: Path, tmp_path: Path) -> None:
    original = write(shared / "large.bin", b"x" * (9 << 20))
    done = run_reader(original, str(8 << 20), temporary=tmp_path / "temporary")
    assert done.stdout.split() == ["CacheError", "27"]
    assert half_things() == []
    assert list((tmp_path / "temporary").iterdir()) == []
    assert [noted["outcome"] for noted in accesses()] == [CacheError.__name__]


def test_a_full_cache_does_not_fail_a_set(shared: Path, home: Path, tmp_path: Path) -> None:
    for n in range(6):
        write(shared / f"{n}.bin", bytes([n]) * (1 << 19))
    home.mkdir()
    script = "import sys; from readers.reading import read; print(*sorted(p.name for p in read(sys.argv[1]).iterdir()))"
    with small_disk(home / "cache", "size=1m"):
        done = subprocess.run(
            [sys.executable, "-c", script, str(shared)], capture_output=True, text=True, check=True, cwd=tmp_path
        )
    assert done.stdout.split() == [f"{n}.bin" for n in range(6)]
    assert len(accesses()) == 7


def test_settings_are_the_ones_in_force(shared: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One process, two homes one after the other, as in tests and notebooks."""
    original = write(shared / "a.csv")
    first = read(original)
    before: Settings = settings()
    monkeypatch.setenv("DATA_PLATFORM_HOME", str(tmp_path / "second home"))
    settings.cache_clear()
    assert settings() is not before
    second = read(original)
    assert second.is_relative_to(tmp_path / "second home")
    assert first.read_bytes() == second.read_bytes()
    assert len(accesses()) == 1
