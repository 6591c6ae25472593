"""A read, end to end: the path, the error, and what the outbox holds afterwards."""

from __future__ import annotations

import logging
import os
import stat
import subprocess
import sys
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from read_noted import accesses, sha256_of, write

from data_platform.errors import (
    DataPlatformError,
    Permanent,
    SettingsError,
    SourceNotFound,
    SourceUnavailable,
    UnknownSource,
    UnsupportedItem,
)
from data_platform.settings import settings
from readers import reading
from readers.autolog import autolog
from readers.file import FileSource
from readers.reading import read
from readers.source import Item, Revision

# --- what is handed out, and what is noted


def test_a_read_gives_a_read_only_path_and_notes_it_down(shared: Path) -> None:
    original = write(shared / "two words ü.csv")
    path = read(original)
    assert path.name == "two words ü.csv"
    assert path.read_bytes() == b"1,2\n"
    assert path != original
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    (noted,) = accesses()
    source = FileSource(settings())
    item = source.resolve(str(original))
    assert noted["outcome"] == "ok"
    assert noted["function_name"] == "read"
    assert noted["url"] == str(original)
    assert (noted["source_kind"], noted["source_system"], noted["item_id"]) == (
        "file",
        item.source_system,
        item.item_id,
    )
    assert (noted["file_name"], noted["file_path"]) == (item.name, item.path)
    assert (noted["revision"], noted["sha256"]) == (source.revision(item).token, sha256_of(b"1,2\n"))
    assert noted["access_size"] == 4
    assert noted["owner_login"] == noted["account_login"]  # one's own file
    assert "from_cache" not in noted


def test_the_second_read_is_served_from_the_cache(shared: Path) -> None:
    original = write(shared / "a.csv")
    assert read(original) == read(str(original)) == read(original.as_uri()) == read(os.fsencode(original))
    assert [noted.get("from_cache", False) for noted in accesses()] == [False, True, True, True]


def test_a_changed_file_is_another_version_and_the_first_path_stays(shared: Path) -> None:
    original = write(shared / "a.csv", b"old")
    first = read(original)
    original.write_bytes(b"new")
    second = read(original)
    assert (first.read_bytes(), second.read_bytes()) == (b"old", b"new")
    assert [noted["sha256"] for noted in accesses()] == [sha256_of(b"old"), sha256_of(b"new")]
    assert len({noted["revision"] for noted in accesses()}) == 2


def test_the_same_bytes_elsewhere_are_kept_once(shared: Path) -> None:
    paths = [read(write(shared / name, b"same")) for name in ("a.csv", "b.csv", "sub/a.csv")]
    assert [path.name for path in paths] == ["a.csv", "b.csv", "a.csv"]
    assert len({path.stat().st_ino for path in paths}) == 1
    assert len({noted["item_id"] for noted in accesses()}) == 3


def test_damage_in_the_cache_is_mended_by_reading_again(shared: Path) -> None:
    original = write(shared / "a.csv", b"right")
    path = read(original)
    path.chmod(0o600)
    path.write_bytes(b"WRONG bytes")
    assert read(original).read_bytes() == b"right"
    assert [noted.get("from_cache", False) for noted in accesses()] == [False, False]


def test_the_account_and_the_function_are_noted(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_PLATFORM_ACCOUNT", "amy")
    settings.cache_clear()
    read(write(shared / "a.csv"), kind="file", function="read_file")
    (noted,) = accesses()
    assert (noted["account_login"], noted["known_by"], noted["function_name"]) == ("amy", "setting", "read_file")


def test_within_an_autologged_function_a_read_is_noted_once_under_its_name(shared: Path) -> None:
    original = write(shared / "a.csv")

    @autolog
    def plates(path: Path) -> bytes:
        return read(path).read_bytes()

    assert plates(original) == b"1,2\n"
    with pytest.raises(SourceNotFound):
        plates(shared / "nothing.csv")
    noted = accesses()
    assert [access["outcome"] for access in noted] == ["ok", "SourceNotFound"]
    assert {access["function_name"].rpartition(".")[2] for access in noted} == {"plates"}
    assert noted[0]["source_kind"] == "file"


def test_threads_read_at_once(shared: Path) -> None:
    originals = [write(shared / f"{n}.bin", bytes([n]) * (1000 + n)) for n in range(6)]
    with ThreadPoolExecutor(8) as threads:
        paths = list(threads.map(read, originals * 20))
    assert all(path.read_bytes() == original.read_bytes() for path, original in zip(paths, originals * 20, strict=True))
    assert Counter(noted["file_name"] for noted in accesses()) == {original.name: 20 for original in originals}


FORKS = """
import os, sys
from readers.reading import read
from readers.registry import source_of_kind
from data_platform.settings import settings

mine = read(sys.argv[1])
source = source_of_kind("file", settings())
for _ in range(3):
    child = os.fork()
    if child == 0:
        theirs = read(sys.argv[1])
        fresh = source_of_kind("file", settings()) is not source  # no connection of the parent's is shared
        os._exit(0 if theirs == mine and fresh and theirs.read_bytes() == b"1,2\\n" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert source_of_kind("file", settings()) is source
"""


def test_forks_read_too(shared: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FORKS, str(write(shared / "a.csv"))], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert len(accesses()) == 4
    assert len({noted["event_id"] for noted in accesses()}) == 4


# --- errors


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


@pytest.mark.parametrize(
    ("link", "error", "built_in"),
    [
        ("nothing.csv", SourceNotFound, FileNotFoundError),
        ("pipe", UnsupportedItem, OSError),
        ("ftp://example.org/a.csv", UnknownSource, ValueError),
        ("file://fileserver/a.csv", UnknownSource, ValueError),
    ],
)
def test_an_error_is_ours_and_the_built_in_and_is_noted(
    shared: Path, link: str, error: type[DataPlatformError], built_in: type[Exception]
) -> None:
    pipe(shared)
    asked = link if ":" in link else str(shared / link)
    with pytest.raises(built_in) as caught:
        read(asked)
    assert type(caught.value) is error
    assert isinstance(caught.value, Permanent)
    assert str(caught.value).endswith(".")
    (noted,) = accesses()
    assert (noted["outcome"], noted["url"]) == (error.__name__, asked)
    assert noted["message"] == str(caught.value)
    assert "sha256" not in noted
    assert "access_size" not in noted


def test_the_traceback_ends_in_the_users_line(shared: Path) -> None:
    with pytest.raises(SourceNotFound) as caught:
        read(shared / "nothing.csv")
    frames = [(Path(frame.filename).name, frame.name) for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert frames == [(Path(__file__).name, "test_the_traceback_ends_in_the_users_line")]
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert "During handling" not in "".join(traceback.format_exception(caught.value))


def test_an_error_that_is_not_ours_passes_unchanged_and_is_noted(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = write(shared / "a.csv")
    error = KeyError("a bug of a source")

    def broken(source: FileSource, item: Item) -> Revision:
        raise error from OSError("its cause")

    monkeypatch.setattr(FileSource, "revision", broken)
    with pytest.raises(KeyError) as caught:
        read(original)
    assert caught.value is error
    assert isinstance(caught.value.__cause__, OSError)
    assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "broken"
    (noted,) = accesses()
    assert (noted["outcome"], noted["file_name"]) == ("KeyError", "a.csv")


def test_wrong_settings_are_told_before_anything_is_read(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_PLATFORM_CACHE__MAX_BYTES", "plenty")
    settings.cache_clear()
    with pytest.raises(SettingsError, match="max_bytes"):
        read(write(shared / "a.csv"))


def test_a_wrong_argument_is_the_callers_own_error() -> None:
    with pytest.raises(TypeError):
        read(42)  # type: ignore[arg-type]


# --- noting down never breaks a read


def test_an_outbox_that_cannot_be_written_does_not_break_the_read(shared: Path, home: Path) -> None:
    home.mkdir()
    outbox = settings().outbox_folder
    outbox.write_text("a file where the outbox should be")
    assert read(write(shared / "a.csv")).read_bytes() == b"1,2\n"
    outbox.unlink()
    outbox.mkdir()
    assert read(shared / "a.csv").read_bytes() == b"1,2\n"
    assert len(accesses()) == 1  # noted again as soon as that is possible


def test_a_record_that_cannot_be_made_does_not_break_the_read(
    shared: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: object, **options: object) -> dict[str, object]:
        raise RuntimeError

    monkeypatch.setattr(reading, "access_record", broken)
    monkeypatch.setattr(reading, "access_payload", broken)
    with caplog.at_level(logging.WARNING):
        assert read(write(shared / "a.csv")).read_bytes() == b"1,2\n"
        with pytest.raises(SourceNotFound):
            read(shared / "nothing.csv")
    assert caplog.text.count("An access could not be noted down.") == 2


def test_an_account_that_cannot_be_told_does_not_break_the_read(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(source: FileSource) -> None:
        raise SourceUnavailable("No sign-in just now.")

    monkeypatch.setattr(FileSource, "account", broken)
    assert read(write(shared / "a.csv")).read_bytes() == b"1,2\n"
    assert accesses()[0]["known_by"] == "machine"
