"""A large file of this machine is hashed first and sent only if the store lacks it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from adopting import noted_downloads, quietly
from deliveries import sha256, stored

from populate.backup.tables import Placement
from readers.file import FileSource
from schemas.binding import Binding
from schemas.catalogue import Version

LARGE = 5_000_000  # bytes; more than wait in memory


@pytest.fixture
def share(tmp_path: Path) -> Path:
    (tmp_path / "share").mkdir()
    (tmp_path / "share" / "raw.bin").write_bytes(os.urandom(LARGE))
    return tmp_path / "share"


def test_what_the_store_has_is_read_once_and_not_sent(
    binding: Binding, share: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = noted_downloads(monkeypatch)
    content = (share / "raw.bin").read_bytes()
    assert quietly(share).taken == 1
    raw, copy = (str(share / name) for name in ("raw.bin", "copy.bin"))
    assert read == [raw, raw]
    (share / "copy.bin").write_bytes(content)
    assert quietly(share).taken == 1
    assert read == [raw, raw, copy]
    assert list(stored().values()) == [content]
    assert len(Version()) == 2


@pytest.mark.parametrize("backend", ["postgresql"])
@pytest.mark.parametrize("more", [0, 1])
def test_what_changes_after_it_was_hashed_is_not_kept_and_taken_in_next_time(
    binding: Binding, share: Path, monkeypatch: pytest.MonkeyPatch, more: int
) -> None:
    download = FileSource.download
    changed = os.urandom(LARGE + more)

    def changing(self: FileSource, item: Any, *arguments: Any) -> Any:
        told = download(self, item, *arguments)
        (share / "raw.bin").write_bytes(changed)
        return told

    with monkeypatch.context() as patch:
        patch.setattr(FileSource, "download", changing)
        done = quietly(share)
    assert [(one.path, one.failure) for one in done.unread] == [(str(share / "raw.bin"), "SourceChanged")]
    assert (stored(), len(Version()), len(Placement())) == ({}, 0, 0)
    assert quietly(share).taken == 1
    assert set(stored()) == set(Placement.to_arrays("sha256").tolist())
    assert [sha256(content) for content in stored().values()] == [sha256(changed)]


@pytest.mark.parametrize("backend", ["postgresql"])
def test_of_two_files_alike_one_may_change_before_their_content_is_kept(
    binding: Binding, share: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = (share / "raw.bin").read_bytes()
    (share / "twin.bin").write_bytes(content)
    download, read = FileSource.download, list[str]()

    def changing(self: FileSource, item: Any, *arguments: Any) -> Any:
        told = download(self, item, *arguments)
        read.append(item.name)
        if len(read) == 2:  # both are hashed
            (share / "raw.bin").write_bytes(os.urandom(LARGE))
        return told

    monkeypatch.setattr(FileSource, "download", changing)
    done = quietly(share)
    assert (done.taken, done.unread) == (2, [])
    assert list(stored().values()) == [content]
    assert quietly(share).taken == 1
    assert len(stored()) == 2
