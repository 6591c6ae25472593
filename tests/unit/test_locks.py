"""File locks: who gets them, who keeps them, and what a file made anew in their place does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.locks import EXCLUSIVE, SHARED, is_locked, locked, still_names, take_lock, try_lock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


@pytest.fixture
def shared(path: Path) -> Iterator[int]:
    descriptor = take_lock(path, SHARED, 0)
    yield descriptor
    os.close(descriptor)


def test_many_share_and_one_excludes(path: Path, shared: int) -> None:
    with locked(path, SHARED, 0) as second:
        assert not try_lock(second, EXCLUSIVE)
    with pytest.raises(TimeoutError, match="locked by another process"), locked(path, EXCLUSIVE, 0):
        pytest.fail("two had it")
    assert is_locked(path)
    assert try_lock(shared, EXCLUSIVE)
    with pytest.raises(TimeoutError):
        take_lock(path, SHARED, 0)


def test_of_two_that_leave_the_last_one_gets_it(path: Path) -> None:
    first, second = take_lock(path, SHARED, 0), take_lock(path, SHARED, 0)
    assert not try_lock(first, EXCLUSIVE)
    os.close(first)
    assert try_lock(second, EXCLUSIVE)
    os.close(second)
    assert not is_locked(path)


def test_a_lock_is_private_and_no_child_program_inherits_it(path: Path, shared: int) -> None:
    assert path.stat().st_mode & 0o777 == 0o600
    assert not os.get_inheritable(shared)


def test_a_file_made_anew_is_another_lock(path: Path, shared: int) -> None:
    assert still_names(path, shared)
    path.unlink()
    assert not still_names(path, shared)
    with locked(path, EXCLUSIVE, 0) as anew:
        assert still_names(path, anew)
        assert not still_names(path, shared)


def test_a_link_in_its_place_is_refused(path: Path, tmp_path: Path) -> None:
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        take_lock(path, SHARED, 0)
    assert not (tmp_path / "elsewhere").exists()


def test_what_is_not_there_is_not_locked(path: Path) -> None:
    assert not is_locked(path)
    assert not path.exists()
