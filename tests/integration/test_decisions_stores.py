"""Decisions where a store does not answer, is none, or has what cannot be read: nothing goes that may be held."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from deciding import Set, dumped, folders, restored
from deliveries import sha256, work_off
from test_retention import retained, states

from data_platform import face
from data_platform.cli import main
from data_platform.errors import DatabaseOutdated, RestrictionError, StoreError, StoreUnavailable
from data_platform.settings import load, settings
from populate.backup.erased import Erasure
from populate.backup.replica import Replica
from populate.backup.stores import ContentStore
from populate.retention.decisions import hashes, noted_in
from populate.retention.entering import enter_decisions
from populate.retention.keeping import hold, holds, release
from populate.retention.tables import LegalHold
from populate.store import folder, open_store
from populate.store.base import LAST_NUMBER, Place
from populate.store.folder import FolderStore
from populate.work.scheduler import Keeper
from schemas.binding import Binding

pytestmark = pytest.mark.parametrize("backend", ["postgresql"])  # no statement differs


@contextmanager
def unlisted(store: FolderStore) -> Iterator[None]:
    """Have a store answer everything but what it knows of decisions."""
    place, aside = store.root / "decisions", store.root / "aside"
    place.rename(aside)
    place.write_bytes(b"no folder")
    yield
    place.unlink()
    aside.rename(place)


def spoiled(patch: pytest.MonkeyPatch, *names: str) -> None:
    """Have the disk fail wherever it is to read one of some objects."""
    pieces = folder._pieces

    def failing(path: Path, place: Place) -> Iterator[bytes]:
        if path.name in {name.rpartition("/")[2] for name in names}:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return pieces(path, place)

    patch.setattr(folder, "_pieces", failing)


def everywhere() -> list[set[bytes]]:
    """Return the contents of each store."""
    places = [(store.root / "objects").rglob("*") for store in folders()]
    return [{path.read_bytes() for path in some if path.is_file()} for some in places]


@pytest.fixture(autouse=True)
def _set(set_store: Set) -> None:
    """Have the stores set before anything is bound."""


@pytest.fixture
def content(binding: Binding, tmp_path: Path) -> bytes:
    """Return a content that is in both stores."""
    found, *_ = states(binding, tmp_path / "a", 1)
    Keeper(binding, snapshots=False).tend()
    work_off(Replica)
    assert everywhere() == [{found}, {found}]
    return found


def erased(content: bytes) -> tuple[str, ...]:
    return face.erase(sha256(content), reason="consent withdrawn").removed


def test_a_hold_that_the_other_store_knows_keeps_from_erasing(binding: Binding, content: bytes) -> None:
    hold(binding, load(), "case 17")
    restored({})
    for away in folders():
        with unlisted(away), pytest.raises(DatabaseOutdated):
            erased(content)
    assert everywhere() == [{content}, {content}]
    assert len(Erasure()) == 0


def test_where_a_store_was_not_asked_the_order_is_kept_and_retain_finishes_it(
    binding: Binding, content: bytes, set_store: Set, tmp_path: Path
) -> None:
    hold(binding, load(), "case 17", below="/elsewhere")
    first, second = folders()
    for away in (first, second):
        with unlisted(away):
            with pytest.raises(StoreUnavailable, match=r"order to erase is kept.*`data-platform retain` finishes"):
                erased(content)
            with pytest.raises(StoreUnavailable):
                face.retain()
        assert everywhere() == [{content}, {content}]
        assert Erasure.to_arrays("sha256").tolist() == [sha256(content)]
    (tmp_path / "away").write_bytes(b"no folder")
    for name, url in (("URL", first.root), ("REPLICA_URL", second.root)):
        set_store(**{name: str(tmp_path / "away")})
        with pytest.raises(StoreUnavailable, match="order to erase is kept"):
            erased(content)
        set_store(**{name: str(url)})
    assert everywhere() == [{content}, {content}]
    assert [done.erased for done in face.retain()] == [1, 1]
    assert everywhere() == [set(), set()]


def test_what_was_ordered_meanwhile_is_kept_by_the_hold_that_turns_up(binding: Binding, content: bytes) -> None:
    hold(binding, load(), "another case", below="/elsewhere")
    first, _ = folders()
    with unlisted(first), pytest.raises(StoreUnavailable):
        erased(content)
    hold(binding, load(), "case 17")
    restored({})
    with pytest.raises(DatabaseOutdated):
        face.retain()
    assert face.rebuild(only_decisions=True).refused == []
    assert [done.erased for done in face.retain()] == [0, 0]
    assert everywhere() == [{content}, {content}]
    with unlisted(first), pytest.raises(RestrictionError, match="Hold 2 keeps"):
        erased(content)


def test_a_disk_that_fails_and_files_of_others_keep_no_decision_from_being_entered(
    binding: Binding, monkeypatch: pytest.MonkeyPatch
) -> None:
    for case in ("case 1", "case 2"):
        hold(binding, load(), case)
    first, second = folders()
    lost, *_ = sorted(noted_in(first))
    for store in (first, second):
        (store.root / "decisions" / ".DS_Store").write_bytes(b"somebody's")
    restored({})
    with monkeypatch.context() as patch:
        spoiled(patch, lost)
        done = face.rebuild()
        assert [one.reason for one in holds()] == ["case 2"]
        for name in (lost, "decisions/.DS_Store"):
            assert any(name in reason and "remove" in reason for reason in done.refused)
        assert any("DS_Store has no name of a decision" in reason for reason in done.refused)
        with pytest.raises(DatabaseOutdated):
            retained(binding)
    assert len(face.rebuild().decisions) == 1
    for store in (first, second):
        (store.root / "decisions" / ".DS_Store").unlink()
    with monkeypatch.context() as patch:
        spoiled(patch, lost)
        before = (first.root / lost).stat().st_ino
        retained(binding)
        assert (first.root / lost).stat().st_ino != before  # written anew, elsewhere on the disk
    assert [len(noted_in(store)) for store in (first, second)] == [2, 2]


def test_what_cannot_be_put_back_is_told_and_the_others_are(binding: Binding) -> None:
    for case in ("case 1", "case 2", "case 3"):
        hold(binding, load(), case)
    first, _ = folders()
    names = sorted(noted_in(first))
    for name in names:
        (first.root / name).unlink()
    (first.root / names[0] / "in the way").mkdir(parents=True)
    with pytest.raises(StoreError, match=rf"{names[0]} is not noted down.*Is a directory"):
        retained(binding)
    assert sorted(noted_in(first)) == names[1:]
    shutil.rmtree(first.root / names[0])
    retained(binding)
    assert sorted(noted_in(first)) == names


def test_a_machine_on_which_the_store_is_not_set_notes_nothing_down_in_its_home(
    binding: Binding, set_store: Set, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATA_PLATFORM_STORE__URL")
    settings.cache_clear()
    told = CliRunner().invoke(main, ["hold", "--reason", "case 17"])
    assert told.exit_code == 0
    assert "is not noted down in the content store yet" in told.output
    assert "Set store.url as the workers have it" in told.output
    assert not (home / "store").exists()
    assert ContentStore.to_arrays("store_name").tolist() == [f"folder:{tmp_path / 'second'}"]
    assert len(noted_in(folders()[1])) == 1
    set_store(URL=str(tmp_path / "workers"))
    face.retain()
    assert len(noted_in(FolderStore(tmp_path / "workers"))) == 1


def unmounted(store: FolderStore) -> None:
    """Have the folder of a disk that is not mounted in the place of a store."""
    store.root.rename(store.root.with_name("mounted elsewhere"))
    FolderStore(store.root)


def test_a_store_that_is_not_mounted_is_none_that_knows_nothing(
    binding: Binding, content: bytes, tmp_path: Path
) -> None:
    hold(binding, load(), "case 1")
    first, second = folders()
    restored({})
    shutil.move(first.root / "decisions", tmp_path / "only the second knows")
    unmounted(second)
    with pytest.raises(StoreUnavailable, match="Mount its disk"):
        retained(binding, dry_run=True)
    with pytest.raises(StoreUnavailable, match="order to erase is kept"):
        erased(content)
    assert everywhere() == [{content}, set()]
    with pytest.raises(StoreUnavailable, match="Mount its disk"):
        enter_decisions(binding, [second])
    shutil.move(tmp_path / "only the second knows", first.root / "decisions")
    done = face.rebuild()
    assert len(done.decisions) == 1
    (reason,) = done.refused
    assert reason.startswith(f"{second.name} could not be asked")


def test_each_decision_that_is_entered_is_told_before_contents_are(
    binding: Binding, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(binding, load(), "case \x1b17", below="/shares/x")
    hold(binding, load(), "case 18")
    release(binding, load(), 2)
    restored({})

    def refused(*_: object, **__: object) -> None:
        raise StoreUnavailable("No contents.")

    monkeypatch.setattr("populate.backup.rebuild.rebuild", refused)
    done = CliRunner().invoke(main, ["rebuild"])
    assert (done.exit_code, "No contents." in done.stderr) == (1, True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("entered: ")]
    assert [line.split(" of ")[0] for line in lines] == ["entered: hold 1", "entered: hold 2", "entered: release 2"]
    assert lines[0].endswith("reason case \N{REPLACEMENT CHARACTER}17, below /shares/x")
    restored({})
    done = CliRunner().invoke(main, ["rebuild", "--only-decisions"])
    assert [line for line in done.stdout.splitlines() if line.startswith("entered: ")] == lines
    assert "3 decisions about keeping were entered" in done.stdout
    restored({})
    told = json.loads(CliRunner().invoke(main, ["rebuild", "--only-decisions", "--json"]).stdout)
    assert [f"entered: {one}" for one in told["decisions"]][1:] == lines[1:]


def test_two_catalogues_in_one_store_are_told_and_parted_as_the_page_says(
    binding: Binding, set_store: Set, home: Path, tmp_path: Path
) -> None:
    set_store(REPLICA_URL="")
    hold(binding, load(), "of the one")
    the_one = dumped()
    restored({})
    hold(binding, load(), "of the other")
    with pytest.raises(DatabaseOutdated, match=r"another catalogue.*do not: give each a prefix of its own"):
        retained(binding)
    set_store(URL=str(tmp_path / "own"))
    retained(binding)
    (own,) = hashes(noted_in(open_store(load())))
    restored(the_one)
    set_store(URL=str(home / "store"))
    with pytest.raises(DatabaseOutdated):
        retained(binding)
    for name in noted_in(open_store(load())):
        if name.endswith(own):
            (home / "store" / name).unlink()
    retained(binding)
    assert len(noted_in(open_store(load()))) == 1


def test_the_last_number_there_can_be_stops_nobody_from_deciding(binding: Binding) -> None:
    hold(binding, load(), "case 1")
    (row,) = LegalHold.to_dicts()
    restored({})
    for store in folders():
        shutil.rmtree(store.root / "decisions")
    LegalHold.insert1({**row, "hold_number": LAST_NUMBER})
    retained(binding)
    restored({})
    face.rebuild()
    assert [one.number for one in holds()] == [LAST_NUMBER]
    assert [hold(binding, load(), case).number for case in ("case 2", "case 3")] == [1, 2]
    retained(binding)
    assert [len(noted_in(store)) for store in folders()] == [3, 3]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_whatever_the_disk_says_a_decision_is_in_force(
    binding: Binding, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def failing(self: FolderStore, *_: object) -> object:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(FolderStore, "writer", failing)
        done = CliRunner().invoke(main, ["hold", "--reason", "case 17"])
    assert done.exit_code == 0
    assert done.output.count(os.strerror(number)) == 2  # of each store
    assert "is in force, and is not noted down" in done.output
    assert [one.reason for one in holds()] == ["case 17"]
    retained(binding)
    assert len(noted_in(open_store(load()))) == 1


def test_a_folder_that_is_none_is_told_as_such(backend: str) -> None:
    store = open_store(load())
    assert isinstance(store, FolderStore)
    (store.root / "objects").rmdir()
    with pytest.raises(StoreUnavailable, match="Check that it is mounted"):
        store.looks_empty()
