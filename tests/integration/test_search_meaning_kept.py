"""Search by meaning over real tables: what is found, by whom, and that what is kept follows the tables."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from small_company import asking, deliver, hire, path_id
from tiny_model import write_model

from data_platform.cli import main
from data_platform.doctor import _search as examined
from data_platform.errors import SearchUnavailable
from data_platform.settings import SearchSettings
from populate.notes.tags import add_tag
from populate.search import following, keeping, meaning
from populate.search.describing import describe, look
from populate.search.follower import Check
from populate.search.following import check, rebuild
from populate.search.meaning import TheMeanings
from populate.search.searching import Results, search
from populate.search.tables import Document
from populate.work.errands import Errand
from schemas.binding import Binding
from schemas.locks import EXCLUSIVE, locked

NOW = datetime.now(UTC).replace(tzinfo=None)
MOUSE, BUDGET, HIDDEN = "/lab/mouse.csv", "/lab/budget.csv", "/board/murine.csv"
MODEL = [("mouse", "murine"), ("budget",), ("lab",), ("csv",), ("board",), ("plan",)]


def meant(binding: Binding, monkeypatch: pytest.MonkeyPatch, model: Path | None, semantic: bool = True) -> None:
    chosen = SearchSettings(semantic=semantic, model=model, least_similarity=0.5)
    monkeypatch.setattr(binding, "settings", binding.settings.model_copy(update={"search": chosen}))


def ask(binding: Binding, text: str, login: str = "amy") -> Results:
    return search(asking(binding, login, NOW), text, explain=True)


def names(found: Results) -> list[str]:
    return [hit.name for hit in found.hits]


def folders(binding: Binding) -> set[str]:
    return {path.name.partition("-")[0] for path in following.folder_of(binding.settings).iterdir() if path.is_dir()}


@pytest.mark.parametrize("backend", ["postgresql"])  # no statement is its own
def test_files_are_found_by_what_they_mean(binding: Binding, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for login in ("amy", "bob"):
        hire(login, "Lab")
    deliver(binding, [("amy", MOUSE, "amy", 0), ("amy", BUDGET, "amy", 1), ("bob", HIDDEN, "bob", 1)], batch="first")
    Document.populate()
    question = "murine lab"
    plain = ask(binding, "murine")
    assert names(plain) == []
    assert folders(binding) == {"index"}

    # Switched on, it is computed by the search that comes first; what is hidden changes nothing.
    model = write_model(tmp_path / "model", MODEL)
    meant(binding, monkeypatch, model)
    assert [finding.state for finding in examined(binding.settings)] == ["ok"]
    monkeypatch.setattr(meaning, "HASTY", 1)
    found = ask(binding, question)
    assert names(found)[0] == "mouse.csv"
    assert found.hits[0].parts["meaning"] > 0
    assert any("means about the same as “murine lab”" in reason for reason in found.hits[0].reasons)
    assert 0.5 <= found.hits[0].similarity <= 1
    alone = ask(binding, "murine")
    assert "mouse.csv" in names(alone)
    assert "murine.csv" not in names(alone)
    assert alone.by_meaning == alone.total == sum(count for _, count in alone.facets["kind"])
    assert check(binding) == Check(3, 0)

    # It follows, a file at a time here, and its check follows all.
    for path in (MOUSE, BUDGET):
        add_tag(asking(binding, "amy", NOW), path_id(path), "plan")
    describe(binding.connection, {path_id(MOUSE), path_id(BUDGET)})
    held = TheMeanings(binding)
    behind = [len(held._changes(held._read()))]
    with locked(held._folder / "lock", EXCLUSIVE, 0.0):  # nothing can be followed: what has changed takes no part
        assert ask(binding, "murine").total == 0
        assert "meaning" not in {part for hit in ask(binding, question).hits for part in hit.parts}
    for pending in (1, 0):
        told = held.glance(0.0)
        assert told is not None
        assert len(told[1]) == pending
        behind.append(len(held._changes(held._read())))
    assert behind == [2, 1, 0]
    assert "mouse.csv" in names(ask(binding, "murine"))
    look(binding.connection)
    assert check(binding) == Check(3, 0)

    # Wrong, broken or another model: made anew.
    held._put([])
    held._write(replace(held._read(), recent={}))
    assert held.glance(0.0) is not None
    held._write(replace(held._read(), recent={}))
    with monkeypatch.context() as patch, locked(held._folder / "lock", EXCLUSIVE, 0.0):
        patch.setattr(meaning, "MOST_PENDING", 0)  # too many changes to tell of which files
        assert held.glance(0.0) is None
    for path in (following.folder_of(binding.settings)).glob("meaning-*/*/*.npz"):
        path.write_bytes(b"broken")
    assert sorted(names(ask(binding, question))) == sorted(names(ask(binding, question)))  # by words, then by both
    assert ask(binding, question).hits[0].parts["meaning"] > 0
    meant(binding, monkeypatch, write_model(tmp_path / "other", MODEL, seed=2))
    assert rebuild(binding) == 3
    assert len(list(following.folder_of(binding.settings).glob("meaning-*"))) == 1
    assert keeping._meaning_is_whole(binding)

    # While another process makes it the service pauses, and has nothing checked.
    tended: list[bool] = []
    monkeypatch.setattr(Errand, "tend", lambda self: tended.append(True))
    following.index_of(binding)
    held = TheMeanings(binding)
    held._forget()
    with locked(held._folder / "lock", EXCLUSIVE, 0.0):
        assert (ask(binding, question).meant, names(ask(binding, "murine"))) == (0.0, [])  # by words, and it says so
        assert "0% of all files" in CliRunner().invoke(main, ["search", "murine"]).stdout
        assert keeping._round(binding, Errand("none", 1.0), lambda: None) == 0
    assert tended == []
    assert keeping._round(binding, Errand("none", 1.0), lambda: None) == 1
    assert tended == [True]

    # Without a model it says what to do; switched off, nothing of it stays.
    meant(binding, monkeypatch, tmp_path / "nowhere")
    with pytest.raises(SearchUnavailable, match=r"search\.semantic to false"):
        ask(binding, question)
    meant(binding, monkeypatch, None, semantic=False)
    assert ask(binding, "murine") == plain
    assert check(binding) == Check(3, 0)
    assert folders(binding) == {"index"}
    assert json.loads(CliRunner().invoke(main, ["search", "murine", "--json"]).stdout)["by_meaning"] == 0
