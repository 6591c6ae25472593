"""A read, end to end: the path, the error, and what the outbox holds afterwards."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import stat
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import pytest
from small_disk import small_disk

from data_platform.errors import (
    CacheError,
    DataPlatformError,
    IncompleteDownload,
    Permanent,
    SettingsError,
    SourceChanged,
    SourceNotFound,
    SourceUnavailable,
    UnknownSource,
    UnsupportedItem,
)
from data_platform.settings import Settings, settings
from readers import reading, registry
from readers.autolog import autolog
from readers.backlog import Backlog
from readers.fetch import local_cache
from readers.file import FileSource
from readers.fileset import members_of
from readers.reading import read
from readers.source import Item, Revision, Sink, Source
from schemas.identity import file_id, version_id


@pytest.fixture(autouse=True)
def _at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_PLATFORM_OUTBOX__SHIP", "false")
    settings.cache_clear()


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    folder = tmp_path / "shared"
    folder.mkdir()
    return folder


def write(path: Path, data: bytes = b"1,2\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def accesses() -> list[dict[str, Any]]:
    """Return what waits in the outbox, in the order in which it happened."""
    backlog = Backlog(settings().outbox_folder)
    events = [json.loads(event.payload) for event in backlog._next(backlog._load().delivered, 10**9).events]
    return sorted(events, key=lambda event: event["sequence"])


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


# --- a source that changes, or tells wrong sizes


class UnsteadySource(Source):
    """Fails `failures` times, then serves ``whole``; tells a size of `told`."""

    kind: ClassVar[str] = "unsteady"
    failures: ClassVar[int] = 0
    told: ClassVar[int | None] = None
    downloads: ClassVar[int] = 0

    @classmethod
    def understands(cls, url: str) -> bool:
        return False

    def resolve(self, url: str) -> Item:
        return Item("unsteady/here", url, "a.csv", url, url)

    def revision(self, item: Item) -> Revision:
        return Revision(f"{self.downloads}", self.told)

    def download(self, item: Item, revision: Revision, sink: Sink) -> Revision:
        type(self).downloads += 1
        sink(b"wh")
        if self.downloads <= self.failures:
            raise SourceChanged("It changed. Read it again.")
        sink(b"ole")
        return revision


@pytest.fixture
def unsteady(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[UnsteadySource]]:
    monkeypatch.setitem(registry.BUILT_IN, "unsteady", f"{__name__}:UnsteadySource")
    for name, value in (("failures", 0), ("told", None), ("downloads", 0)):
        monkeypatch.setattr(UnsteadySource, name, value)
    yield UnsteadySource
    registry.source_class.cache_clear()


def half_things() -> list[Path]:
    return [*settings().cache_folder.glob("incoming/*"), *settings().cache_folder.glob("content/*/*")]


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


# --- file sets


def test_a_folder_is_read_as_a_set(shared: Path) -> None:
    contents = {"a.csv": b"1", "deep/er/b.csv": b"22", "deep/c d.csv": b""}
    for name, data in contents.items():
        write(shared / name, data)
    folder = read(shared)
    assert folder.name == "shared"
    assert {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()} == contents
    whole, *parts = accesses()
    source = FileSource(settings())
    item = source.resolve(str(shared))
    manifest = local_cache(settings()).open(whole["sha256"])
    assert manifest is not None
    with manifest:
        text = manifest.read()
    assert dict(members_of(text)) == {name: sha256_of(data) for name, data in contents.items()}
    assert (whole["item_id"], whole["access_size"]) == (item.item_id, len(text))
    assert {part["set_path"]: part["sha256"] for part in parts} == dict(members_of(text))
    assert {part["set_file_id"] for part in parts} == {file_id(item.source_system, item.item_id)}
    assert {part["set_version_id"] for part in parts} == {version_id(whole["revision"], whole["sha256"])}
    assert {part["url"] for part in parts} == {str(shared)}
    assert {part["item_id"] for part in parts} == {os.path.realpath(shared / name) for name in contents}


def test_the_version_of_a_set_is_that_of_its_contents(shared: Path, tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        write(shared / name, name.encode())
    first = read(shared)
    again = read(shared)
    assert again == first
    write(shared / "b.csv", b"changed")
    changed = read(shared)
    assert changed != first
    assert ((first / "b.csv").read_bytes(), (changed / "b.csv").read_bytes()) == (b"b.csv", b"changed")
    write(shared / "b.csv", b"b.csv")
    assert read(shared) == first
    write(shared / "c.csv", b"")
    read(shared)
    versions = [noted["sha256"] for noted in accesses() if "set_path" not in noted]
    assert versions[0] == versions[1] == versions[3]
    assert len(set(versions)) == 3
    assert [noted.get("from_cache", False) for noted in accesses()[:6]] == [False] * 3 + [True] * 3


def test_an_empty_folder_is_an_empty_set(shared: Path) -> None:
    assert list(read(shared).iterdir()) == []
    (noted,) = accesses()
    assert (noted["outcome"], noted["access_size"], noted["sha256"]) == ("ok", 0, sha256_of(b""))


def test_a_set_is_whole_or_refused(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(40):
        write(shared / f"{n:02}.csv", b"%d" % n)
    original = FileSource.download

    def failing(source: FileSource, item: Item, revision: Revision, sink: Sink) -> Revision:
        if item.name == "20.csv":
            raise SourceUnavailable("The disk does not answer. Try again.")
        return original(source, item, revision, sink)

    with monkeypatch.context() as patch:
        patch.setattr(FileSource, "download", failing)
        with pytest.raises(SourceUnavailable):
            read(shared)
    (noted,) = accesses()  # no member was handed out, so none is noted
    assert (noted["outcome"], noted["item_id"]) == ("SourceUnavailable", os.path.realpath(shared))
    assert len(list(read(shared).iterdir())) == 40


def test_the_first_error_ends_what_is_still_under_way(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("endless", "fails"):
        write(shared / name)
    under_way = threading.Event()
    pieces = 0

    def download(source: FileSource, item: Item, revision: Revision, sink: Sink) -> Revision:
        nonlocal pieces
        if item.name == "fails":
            assert under_way.wait(120)
            raise SourceUnavailable("The disk does not answer. Try again.")
        while True:
            pieces += 1
            sink(b"x")
            under_way.set()
            time.sleep(0.001)

    monkeypatch.setattr(FileSource, "download", download)
    with pytest.raises(SourceUnavailable):
        read(shared)  # and does not wait for ever
    assert pieces
    assert half_things() == []


def test_a_large_set_with_odd_names(shared: Path) -> None:
    for n in range(1100):
        write(shared / f"{n % 7}" / f"file {n}*.csv", b"%d" % (n % 500))
    folder = read(shared)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) == 1100
    assert {int(path.name[5:-5]) % 500 for path in files} == set(range(500))
    assert all(int(path.read_bytes()) == int(path.name[5:-5]) % 500 for path in files)
    noted = accesses()
    assert len(noted) == 1101
    assert len({access["event_id"] for access in noted}) == 1101
    assert {access["set_path"] for access in noted[1:]} == {f"{n % 7}/file {n}*.csv" for n in range(1100)}


# --- disk full

READ_AND_REPORT = """
import logging, resource, sys
from pathlib import Path
logging.basicConfig(level=logging.WARNING)
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
