"""What was erased, or taken out, leaves no word in the files of a search index."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from small_company import NOW, asking, deliver, hire, path_id

from data_platform.settings import SearchSettings
from populate.backup.erased import Erasure
from populate.notes.tags import add_tag
from populate.profile.tables import METHOD, ColumnProfile, ContentProfile, SheetProfile, forget
from populate.search import following, local
from populate.search.describing import describe, look
from populate.search.follower import Check
from populate.search.following import advance, check, has_index, rebuild
from populate.search.searching import search
from populate.search.server_tables import deploy_index, rendered
from populate.search.tables import Document
from schemas.binding import Binding
from schemas.catalogue import Version
from schemas.restrict import where

WORD = "nephroblastoma"


def content_of(path: str) -> str:
    return str(where(Version, file_id=path_id(path)).fetch1("sha256"))


def profile(path: str, column: str) -> None:
    key = {"sha256": content_of(path), "profile_method": METHOD}
    ContentProfile.insert1({**key, "profile_kind": "table", "profile_reason": ""})
    counts = {"sheet_name": "", "row_count": 1, "column_count": 1, "rows_looked_at": 1, "first_rows": "[]"}
    SheetProfile.insert1({**key, "sheet_no": 0, **counts})
    told = {"missing_count": 0, "distinct_count": 1, "least_value": "", "greatest_value": "", "column_values": ""}
    place = {"sheet_no": 0, "column_no": 0, "column_name": column, "column_type": "text"}
    ColumnProfile.insert1({**key, **place, **told})


def erase(path: str) -> None:
    order = {"erased_at": datetime.now(UTC).replace(tzinfo=None), "erased_by": "amy", "erase_reason": "asked"}
    Erasure.insert1({"sha256": content_of(path), **order})
    forget(content_of(path))


def kept(binding: Binding) -> int:
    """Return in how many entries the files of the index have the word, those that were taken out included."""
    return int(following.TheIndex(binding)._open().searcher().doc_freq("plain", WORD))


@pytest.mark.parametrize("backend", ["postgresql"])  # no statement differs
def test_words_of_erased_contents_leave_the_files_of_the_index(
    binding: Binding, monkeypatch: pytest.MonkeyPatch
) -> None:
    hire("amy", "Lab")
    paths = [f"/lab/table {n}.csv" for n in range(4)]
    deliver(binding, [("amy", path, "amy", 0) for path in paths], batch="first")
    for path in paths[:2]:
        profile(path, WORD)
    Document.populate()
    amy, folder = asking(binding, "amy", NOW), following.folder_of(binding.settings)
    assert search(amy, WORD).total == 2
    assert kept(binding)

    # A small index is rewritten by the search that hears of it; what was not erased stays.
    for path in paths[:2]:
        erase(path)
    look(binding.connection)
    assert search(amy, WORD).total == 0
    assert search(amy, "table").total == 4
    assert kept(binding) == 0
    assert check(binding) == Check(4, 0)

    # A great one by its check, and then as well if an erased content has no word in it any more.
    monkeypatch.setattr(local, "REWRITTEN_AT_ONCE", 0)
    profile(paths[2], WORD)
    describe(binding.connection, {path_id(paths[2])})
    rebuild(binding)
    assert search(amy, WORD).total == 1
    erase(paths[2])
    look(binding.connection)
    assert search(amy, WORD).total == 0
    assert kept(binding)
    assert check(binding) == Check(4, 0)
    assert kept(binding) == 0
    assert search(amy, "table").total == 4
    # Whoever was broken off leaves words of the past, which go with the next check; who comes late finds one index.
    left = folder / next(name for name in local.FOLDERS if name != following.TheIndex(binding)._read().folder)
    left.mkdir()
    (left / "words").write_text(WORD)
    assert check(binding) == Check(4, 0)
    assert not left.exists()
    assert len([path for path in folder.iterdir() if path.is_dir()]) == 1
    erase(paths[3])
    assert check(binding) == Check(4, 0)
    assert search(amy, "table").total == 4
    assert len([path for path in folder.iterdir() if path.is_dir()]) == 1


def dead(index: Path) -> set[str]:
    """Return the segments of which there are files, and that the index does not have."""
    held = {
        segment["segment_id"].replace("-", "") for segment in json.loads((index / "meta.json").read_text())["segments"]
    }
    names = {path.name for path in index.iterdir() if not path.name.startswith(".")} - {"meta.json"}
    return {name.partition(".")[0] for name in names} - held


@pytest.mark.parametrize("backend", ["postgresql"])
def test_words_of_erased_contents_leave_the_index_on_the_server_at_once(
    binding: Binding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        binding, "settings", binding.settings.model_copy(update={"search": SearchSettings(engine="postgresql")})
    )
    deploy_index(binding)
    hire("amy", "Lab")
    paths = [f"/lab/table {n}.csv" for n in range(3)]
    deliver(binding, [("amy", path, "amy", 0) for path in paths], batch="first")
    for path in paths[:2]:
        profile(path, WORD)
    Document.populate()
    amy = asking(binding, "amy", NOW)

    def known() -> tuple[int, int]:
        """Return in how many views and among how many words the word is."""
        places = {"views": "view_of_file WHERE plain @@ %s::tsquery", "words": "word WHERE word = %s"}
        rows = [
            binding.connection.query(rendered(f"SELECT count(*) FROM ${of}", binding), (WORD,))
            for of in places.values()
        ]
        return tuple(row.fetchone()[0] for row in rows)  # type: ignore[return-value]

    assert search(amy, f"{WORD[:-1]}").suggestion == ""  # its beginning
    assert search(amy, f"x{WORD}").suggestion == WORD
    assert known() == (2, 1)
    erase(paths[0])
    look(binding.connection)
    assert search(amy, WORD).total == 1
    assert known() == (1, 1)  # the other file has it still
    erase(paths[1])
    look(binding.connection)
    assert search(amy, WORD).total == 0
    assert known() == (0, 0)
    assert search(amy, "table").total == 3

    # What should not be there goes with the check, which tells of it; and what is missing comes back.
    binding.connection.query(rendered("INSERT INTO $word VALUES (%s, 14, 0)", binding), (WORD,))
    binding.connection.query(rendered("DELETE FROM $word WHERE word = 'table'", binding))
    assert search(amy, "tabel").total == 0
    assert check(binding) == Check(3, 1)
    assert known() == (0, 0)
    assert search(amy, "tabel").total == 3
    assert check(binding) == Check(3, 0)


@pytest.mark.parametrize("backend", ["postgresql"])  # no statement differs
def test_nothing_stays_that_nobody_follows(binding: Binding, monkeypatch: pytest.MonkeyPatch) -> None:
    hire("amy", "Lab")
    paths = [f"/lab/table {n}.csv" for n in range(3)]
    deliver(binding, [("amy", path, "amy", 0) for path in paths], batch="first")
    Document.populate()
    amy, folder = asking(binding, "amy", NOW), following.folder_of(binding.settings)
    number = int(folder.name.rpartition("-")[2])
    of_before, of_others = folder.with_name(folder.name[:-1] + f"{number - 1}"), folder.with_name(f"{'0' * 16}-1")
    for other in (of_before, of_others):
        (other / "index").mkdir(parents=True)
    assert has_index(binding.settings)  # of another format: it is for the check to look after
    while not advance(binding, 60.0):
        pass
    assert not of_before.exists()
    assert of_others.exists()  # another catalogue's
    of_before.mkdir()
    assert check(binding) == Check(3, 0)
    assert not of_before.exists()

    # Two processes that both keep it open write in turns.
    caches: list[dict[Path, Any]] = [{}, {}]
    for turn in range(12):
        monkeypatch.setattr(following, "_indexes", caches[turn % 2])
        add_tag(amy, path_id(paths[turn % 3]), f"turn {turn}")
        describe(binding.connection, {path_id(paths[turn % 3])})
        assert search(amy, f"turn {turn}").hits[0].path == paths[turn % 3]
    assert all(caches)
    assert dead(folder / "index") == set()

    # One that cannot be read is made anew also if there is something to write to it.
    add_tag(amy, path_id(paths[0]), "last")
    describe(binding.connection, {path_id(paths[0])})
    (folder / "index" / "meta.json").write_text("{}")
    assert search(amy, "last").total == 1
