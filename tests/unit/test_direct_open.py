"""A file is opened in one call if no symlink is on its path, and else part by part, which tells why not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from data_platform.errors import SourceNotFound, UnsafeLink
from readers import file_access
from readers.direct_open import open_directly
from readers.file_access import opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "real" / "µ").mkdir(parents=True)
    (tmp_path / "real" / "µ" / "file").write_bytes(b"here")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real" / "last").symlink_to("µ/file")
    return tmp_path.resolve()


def test_it_follows_no_symlink_on_the_whole_path(folder: Path) -> None:
    descriptor = open_directly(f"{folder}/real/µ/file", os.O_RDONLY)
    if descriptor < 0:
        pytest.skip("this system has no openat2: files are opened part by part")
    assert os.read(descriptor, 10) == b"here"
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)
    for path in ("link/µ/file", "real/last", "real/none", "real/\0"):
        assert open_directly(f"{folder}/{path}", os.O_RDONLY) == -1


@pytest.mark.parametrize("directly", [True, False])
def test_it_makes_no_difference_how_a_file_is_opened(
    folder: Path, monkeypatch: pytest.MonkeyPatch, directly: bool
) -> None:
    if not directly:
        monkeypatch.setattr(file_access, "open_directly", lambda path, flags: -1)
    with opened(f"{folder}/real/µ/file") as descriptor:
        assert os.read(descriptor, 10) == b"here"
    with opened(f"{folder}/real", folder=True) as descriptor:
        assert os.path.samestat(os.fstat(descriptor), (folder / "real").stat())
    for path in ("link/µ/file", "real/last"):
        with pytest.raises(UnsafeLink, match="was not followed"), opened(f"{folder}/{path}"):
            pass
    with pytest.raises(SourceNotFound, match="Check the path"), opened(f"{folder}/real/none"):
        pass
