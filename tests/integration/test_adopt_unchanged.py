"""A second run asks nothing about files that are as they were, and notices all that are not."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from adopting import quietly
from small_disk import small_disk

from populate.adopt import share as adopt_share
from populate.adopt.tables import AdoptBack, AdoptFile, AdoptRoot, AdoptSurveyEnd
from populate.adopt.unchanged import unchanged
from readers import file_walk
from readers.file import FileSource
from readers.file_access import Entry
from schemas.binding import Binding
from schemas.catalogue import Blob, File, FileGone, Version

NUMBER = 30


@pytest.fixture
def share(tmp_path: Path) -> Path:
    for number in range(NUMBER):
        path = tmp_path / "share" / f"d{number % 3}" / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{number}\n")
    return tmp_path / "share"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the paths of the files that the source is asked about one by one, as it happens."""
    paths: list[str] = []

    def noting(original: Callable[..., Any]) -> Callable[..., Any]:
        def noted(self: FileSource, *arguments: Any) -> Any:
            paths.append(getattr(arguments[0], "path", arguments[-1]))
            return original(self, *arguments)

        return noted

    for name in ("revision", "reopen", "download"):
        monkeypatch.setattr(FileSource, name, noting(getattr(FileSource, name)))
    return paths


def statements(binding: Binding, action: Callable[[], object]) -> list[str]:
    """Return the statements that an action sends to the database."""
    sent: list[str] = []
    execute = binding.connection._execute_query

    def noted(cursor: Any, query: str, *rest: Any) -> Any:
        sent.append(query)
        return execute(cursor, query, *rest)

    binding.connection._execute_query = noted
    try:
        action()
    finally:
        del binding.connection._execute_query
    return sent


def test_of_unchanged_files_nothing_is_asked_but_their_folders_and_three_statements_a_portion(
    binding: Binding, share: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adopt_share, "LISTED", 10)
    quietly(share)
    asked.clear()
    done = quietly(share)
    assert (done.found.files, done.found.known, done.found.bytes) == (NUMBER, NUMBER, 80)
    assert asked == []
    assert len(AdoptSurveyEnd()) == 2
    few = statements(binding, lambda: quietly(share))
    monkeypatch.setattr(adopt_share, "LISTED", 5)
    assert len(statements(binding, lambda: quietly(share))) == len(few) + 3 * (NUMBER // 5 - NUMBER // 10)


def rewritten(path: Path) -> None:
    """Write other bytes of the same size, and set the time back."""
    state = path.stat()
    path.write_bytes(b"x" * state.st_size)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def replaced(path: Path) -> None:
    state = path.stat()
    other = path.with_suffix(".new")
    other.write_bytes(path.read_bytes())
    os.utime(other, ns=(state.st_atime_ns, state.st_mtime_ns))
    other.replace(path)


def touched(path: Path) -> None:
    os.utime(path, ns=(0, 1))


@pytest.mark.parametrize("change", [rewritten, replaced, touched])
def test_a_file_of_another_state_is_looked_at(
    binding: Binding, share: Path, asked: list[str], change: Callable[[Path], None]
) -> None:
    quietly(share)
    asked.clear()
    change(share / "d1" / "4.txt")
    done = quietly(share)
    assert (done.found.known, done.found.changed, done.taken) == (NUMBER - 1, 1, 1)
    assert set(asked) == {str(share / "d1" / "4.txt")}
    assert quietly(share).found.known == NUMBER  # although there are two versions of it now


def test_what_came_back_is_noted_although_it_is_as_it_was(binding: Binding, share: Path) -> None:
    quietly(share)
    away = (share / "d1").rename(share.parent / "away")
    assert quietly(share).found.gone == NUMBER // 3
    away.rename(share / "d1")
    done = quietly(share)
    assert (done.found.known, done.found.gone, len(FileGone())) == (NUMBER, 0, NUMBER // 3)
    assert set(AdoptBack.to_arrays("file_id").tolist()) == set(FileGone.to_arrays("file_id").tolist())


def test_what_was_found_below_another_root_is_noted_below_this_one(binding: Binding, share: Path) -> None:
    quietly(share)
    assert quietly(share / "d1").found.known == NUMBER // 3
    assert len(AdoptFile()) == NUMBER + NUMBER // 3
    assert quietly(share / "d1").found.known == NUMBER // 3
    (share / "d1" / "4.txt").unlink()
    assert quietly(share / "d1").found.gone == 1


def test_a_disk_that_was_mounted_over_a_folder_is_another_place(binding: Binding, share: Path) -> None:
    quietly(share)
    (share / "d1").rename(share / "below")
    with small_disk(share / "d1", "size=1m") as disk:
        for path in (share / "below").iterdir():
            (disk / path.name).write_bytes(path.read_bytes())
            os.utime(disk / path.name, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
        assert quietly(share).found.changed == NUMBER // 3


def test_a_folder_that_becomes_a_link_while_the_share_is_walked_is_not_followed(
    binding: Binding, share: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quietly(share)
    entries_of = file_walk.entries_of

    def swapping(path: str) -> Iterator[Entry]:
        if path.endswith("/d0/"):
            (share / "d1").rename(share.parent / "away")
            (share / "d1").symlink_to(share.parent / "away")
        return entries_of(path)

    monkeypatch.setattr(file_walk, "entries_of", swapping)
    done = quietly(share)
    assert [(one.path, one.failure) for one in done.unread] == [(f"{share}/d1/", "UnsafeLink")]
    assert done.found.known == NUMBER - NUMBER // 3
    assert len(Version()) == NUMBER


ALONE = """
import sys
from populate.adopt.share import adopt
assert adopt(sys.argv[1]).found.known == 30
assert "populate.adopt.tables" in sys.modules
for name in ("populate.pipeline", "populate.search.tables", "networkx", "fsspec", "pandas"):
    assert name not in sys.modules, name
"""


def test_a_process_learns_of_no_other_tables_than_it_needs(binding: Binding, share: Path) -> None:
    quietly(share)
    command = [sys.executable, "-c", ALONE, str(share)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(AdoptSurveyEnd()) == 2


@pytest.mark.parametrize("backend", ["postgresql"])  # which tells what it looked up
def test_of_a_root_that_is_new_each_file_is_looked_up_once(binding: Binding, share: Path) -> None:
    """The database does not know yet that a second root has thousands of files, too."""
    quietly(share)
    ((root,),) = binding.connection.query(f"SELECT root_id FROM {AdoptRoot().full_table_name}").fetchall()
    _found_below(binding, root, 0, 20_000)
    binding.connection.query("ANALYZE")
    binding.connection.query(
        "INSERT INTO {0} SELECT %s, root_system, root_item, root_url FROM {0}".format(AdoptRoot().full_table_name),
        args=("f" * 32,),
    )
    _found_below(binding, "f" * 32, 20_000, 25_000)
    wanted = {hashlib.md5(b"%d" % number).hexdigest(): "same" for number in range(20_000, 25_000)}
    before = _looked_at(binding)
    assert unchanged("f" * 32, wanted) == wanted.keys()
    assert _looked_at(binding) - before < 2 * len(wanted)


def _found_below(binding: Binding, root: str, first: int, end: int) -> None:
    """Enter files, each with a version, as found below a root."""
    tables = {
        name: table().full_table_name
        for name, table in {"file": File, "version": Version, "adopt": AdoptFile, "blob": Blob}.items()
    }
    numbers = f"FROM generate_series({first}, {end - 1}) AS n"
    for text in (
        "INSERT INTO {file} SELECT md5(n::text), (SELECT MIN(source_system) FROM {file}), '/' || n " + numbers,
        "INSERT INTO {version} SELECT md5(n::text), md5(n::text), (SELECT MIN(sha256) FROM {blob}), 'same' " + numbers,
        "INSERT INTO {adopt} SELECT '" + root + "', md5(n::text) " + numbers,
    ):
        binding.connection.query(text.format(**tables))


def _looked_at(binding: Binding) -> int:
    """Return how many pages of the versions and their indexes were looked at."""
    binding.connection.query("SELECT pg_stat_force_next_flush()")
    binding.connection.query("SELECT 1")
    (pages,) = binding.connection.query(
        "SELECT SUM(idx_blks_hit + idx_blks_read + heap_blks_hit + heap_blks_read) FROM pg_statio_user_tables"
        " WHERE schemaname LIKE %s AND relname = 'version'",
        ("%catalogue",),
    ).fetchone()
    return int(pages)
