"""Search over real tables: what is found, by whom, why, and that the index is what the tables say."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from small_company import MONDAY, REALM, asking, deliver, dismiss, hire, path_id, person

from data_platform.cli import main
from data_platform.errors import RestrictionError
from data_platform.settings import settings
from populate.describe.tables import Description, Generated, RunDescription
from populate.notes.tags import add_tag
from populate.search import describing, following
from populate.search.describing import Tables, describe, look
from populate.search.engine import Engine
from populate.search.following import advance, check, rebuild
from populate.search.index import Index
from populate.search.searching import Results, complete, search
from populate.search.server import ServerIndex
from populate.search.server_tables import deploy_index, is_wanted
from populate.search.tables import Document, DocumentChange, DocumentDescribed
from schemas.asking import CompanyAskChoice, PersonAskChoice
from schemas.binding import Binding
from schemas.catalogue import FileName, FileOwner
from schemas.code import RunCode
from schemas.directory import DirectoryGroup, GroupMember, GroupNested
from schemas.following import PermissionExpiry
from schemas.identity import identity
from schemas.sharing import AccessRun, Permission, PermissionEnded

PLATE_1, PLATE_2 = "/flow/ITX_47213/plate_1.csv", "/flow/ITX_47213/plate_2.csv"
TRIAL = "/clinical/lung trial.xlsx"
HIDDEN = "/board/ITX_47213 layoffs.csv"
NOW = datetime.now(UTC).replace(tzinfo=None)  # the index knows what has run out by now
LOGINS = ("zoe", "bob", "carol", "dan", "eve")


KINDS = {"postgresql": "tantivy", "mysql": "tantivy", "on the server": "postgresql"}


@pytest.fixture(params=KINDS)
def backend(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the kind of database, once more with the index on its server."""
    monkeypatch.setenv("DATA_PLATFORM_SEARCH__ENGINE", KINDS[request.param])
    return "postgresql" if request.param == "on the server" else str(request.param)


@pytest.fixture
def company(binding: Binding) -> Binding:
    """Zoe and Bob read Carol's plates, and Bob reads Dan's trial."""
    deploy_index(binding)
    for login, department in (("zoe", "Screening"), ("bob", "Screening"), ("dan", "Clinical"), ("eve", "Clinical")):
        hire(login, department)
    hire("carol", "Flow cytometry", name="Carol Ito", title="Head of cytometry")
    reads = [("zoe", PLATE_1, "carol", 0), ("bob", PLATE_1, "carol", 1), ("zoe", PLATE_2, "carol", 3)]
    deliver(binding, [*reads, ("bob", TRIAL, "dan", 5)], batch="first")
    Document.populate()
    return binding


def ask(binding: Binding, text: str, login: str = "zoe", **options: Any) -> Results:
    return search(asking(binding, login, NOW), text, **options)


def names(found: Results) -> list[str]:
    return [hit.name for hit in found.hits]


def grant(path: str, grantee: str, kind: str = "account", day: int = 0) -> dict[str, Any]:
    key = {"file_id": path_id(path), "grantee_id": grantee, "granted_since": MONDAY + timedelta(days=day)}
    Permission.insert1(key | {"grantee": "somebody", "grantee_kind": kind, "permission_level": "read"})
    return key


def group(name: str) -> str:
    key = identity("group", name)
    DirectoryGroup.insert1({"group_id": key, "group_realm": REALM, "group_key": name})
    return key


def rename(path: str, day: int, name: str) -> None:
    row = {"file_id": path_id(path), "named_on": (MONDAY + timedelta(days=day)).date(), "name_id": identity("n", name)}
    FileName.insert1(row | {"file_name": name, "file_path": f"/elsewhere/{name}"})


def choose(login: str, choice: str, at: datetime = MONDAY) -> None:
    PersonAskChoice.insert1({"person_id": person(login), "chosen_at": at, "ask_choice": choice})


def test_what_is_found_by_what_why_and_by_whom(company: Binding) -> None:
    found = ask(company, "plate itx", explain=True)
    assert found.total == 2
    assert names(found) == ["plate_1.csv", "plate_2.csv"]  # read by more people
    first = found.hits[0]
    assert (first.path, first.owner, first.department) == (PLATE_1, "Carol Ito", "Flow cytometry")
    assert (first.kind, first.readers, first.last_read) == ("csv", 2, (MONDAY + timedelta(days=1)).date())
    assert first.reasons == ("its name has plate", "it lies in ITX_47213", "2 people read it, last on 5 May 2026")
    assert sum(first.parts.values()) == pytest.approx(first.score, abs=1e-5)
    assert {"name", "folder", "popularity", "recency"} == set(first.parts)
    assert found.facets["kind"] == [("csv", 2)]
    assert found.facets["owner"] == [("Carol Ito", 2)]
    assert names(ask(company, "plates 2")) == ["plate_2.csv"]
    assert ask(company, "carol").total == ask(company, "cytometr").total == 2
    assert ask(company, "plaet") == replace(ask(company, "plaet"), total=2, suggestion="plate")
    assert ask(company, "").total == 2
    assert ask(company, "csv", facets={"month": ["2026-04"]}).total == 0
    assert ask(company, "csv", facets={"kind": ["csv", "\0", "\udcff", ""]}).total == 2  # as an address may have it
    assert ask(company, "csv", facets={"kind": ["\0", "\udcff"]}).total == 0
    assert names(ask(company, "plate", limit=1, offset=1)) == ["plate_2.csv"]
    assert complete(asking(company, "zoe", NOW), "itx pl") == ["itx plate"]
    with pytest.raises(RestrictionError, match="no facet 'size'"):
        ask(company, "", facets={"size": ["1"]})

    for text in ("lung", "trial", "xlsx", "Dan", "clinical"):
        assert ask(company, text) == replace(ask(company, text), total=0, hits=[], suggestion="")
    assert names(ask(company, "lung", "bob")) == ["lung trial.xlsx"]
    add_tag(asking(company, "bob", NOW), path_id(TRIAL), "phase two")
    look(company.connection)
    assert ask(company, "phase", "bob").hits[0].reasons[0] == "it is tagged phase"


def test_a_file_is_found_by_what_code_that_read_it_is_about(company: Binding) -> None:
    key = (AccessRun() & {"batch_id": identity("batch", "first")}).fetch1("KEY")
    RunCode.insert1({**key, "code_sha256": "0" * 64, "code_title": "Kaplan-Meier curves"})
    Description.populate()
    DocumentDescribed.populate()
    found = ask(company, "kaplan", "zoe")  # who ran it
    assert set(names(found)) == {"plate_1.csv", "plate_2.csv"}
    assert "code that read it says kaplan" in found.hits[0].reasons
    assert ask(company, "kaplan", "carol").total == 2  # whose files it read
    assert names(ask(company, "kaplan", "dan")) == ["lung trial.xlsx"]
    assert ask(company, "kaplan", "bob").total == 0
    look(company.connection)
    choose("zoe", "open", datetime.now(UTC).replace(tzinfo=None))
    look(company.connection)
    assert names(ask(company, "kaplan", "bob")) == ["plate_1.csv"]
    facts = RunDescription.fetch1("facts_sha256")
    said = {"facts_sha256": facts, "model_name": "m", "generated_text": "Survival of cohorts."}
    Generated.insert1({**said, "generated_at": datetime.now(UTC).replace(tzinfo=None)})
    look(company.connection)
    assert ask(company, "survival", "zoe").total == 2
    assert check(company) == (3, 0)

    # Of runs that are alike the last is asked for alone.
    for batch, day in (("again", 7), ("once more", 8)):
        deliver(company, [("zoe", PLATE_2, "carol", day)], batch=batch)
    Description.populate()
    rows = Tables(company.connection).ask("runs", files=(path_id(PLATE_2),))
    assert sorted(row[4] for row in rows) == [MONDAY, MONDAY + timedelta(days=8)]


def test_the_index_follows_and_what_was_taken_away_is_not_shown_even_before_it_does(company: Binding) -> None:
    assert ask(company, "lung").total == 0
    granted = grant(TRIAL, person("zoe"))
    look(company.connection)
    assert names(ask(company, "lung")) == ["lung trial.xlsx"]
    PermissionEnded.insert1({**granted, "ended_at": datetime.now(UTC).replace(tzinfo=None)})
    assert ask(company, "lung") == replace(ask(company, "lung"), total=0, hits=[])
    look(company.connection)
    assert ask(company, "lung").facets["kind"] == []

    choose("dan", "open", NOW - timedelta(seconds=1))
    look(company.connection)
    hit = ask(company, "lung").hits[0]
    assert (hit.name, hit.kind, hit.owner, hit.limited) == ("lung trial.xlsx", "xlsx", "Dan", True)
    assert (hit.path, hit.readers, hit.last_read, hit.source_system) == ("", 0, None, "")
    assert hit.reasons == ("its name has lung", "you cannot see it; its owner lets it be found")
    assert ask(company, "clinical").hits[0].owner == "Dan"  # whom to ask, not where it lies
    dismiss("dan", date(2026, 5, 20))
    assert ask(company, "lung").hits[0].owner == ""

    before = len(DocumentChange())
    assert describe(company.connection, {path_id(TRIAL)}) == 1  # without Dan's name
    assert describe(company.connection, {path_id(TRIAL)}) == 0
    assert len(DocumentChange()) == before + 1


def everything(binding: Binding, login: str) -> list[Any]:
    asker = asking(binding, login, NOW)
    texts = ("itx", "plate", "layoffs", "layofs", "board", "csv", "dan", "lung trial", "")
    return [
        *(search(asker, text, explain=True) for text in texts),
        *(complete(asker, text) for text in ("l", "b", "i")),
    ]


def test_a_hidden_file_changes_no_answer(company: Binding) -> None:
    before = everything(company, "zoe")
    deliver(company, [(reader, HIDDEN, "dan", 7) for reader in ("bob", "eve", "carol")], batch="hidden")
    Document.populate()
    assert ask(company, "layoffs", "eve").total == 1
    assert everything(company, "zoe") == before


def random_state(binding: Binding, chance: random.Random) -> list[str]:
    """Let two dozen files have any state in which some may know them and others not; return their paths."""
    inner, outer = group("inner"), group("outer")
    GroupMember.insert1({"group_id": inner, "account_id": person("zoe"), "joined_at": MONDAY})
    GroupMember.insert1({"group_id": outer, "account_id": person("bob"), "joined_at": MONDAY})
    GroupNested.insert1({"group_id": outer, "inner_id": inner, "nested_at": MONDAY})
    choose("dan", "open")
    choose("eve", "known")
    paths = [f"/share {n % 3}/run {n}.csv" for n in range(24)]
    reads = [
        (chance.choice(LOGINS), path, chance.choice(("carol", "dan", "eve")), day) for path in paths for day in (0, 9)
    ]
    deliver(binding, reads, batch="random")
    for n, path in enumerate(paths):
        for day in chance.sample((4, 12, 20), chance.randrange(3)):
            rename(path, day, f"renamed {n} {day}.csv")
        if chance.random() < 0.4:
            owner = {"file_id": path_id(path), "owner_since": date(2026, 5, 25)}
            FileOwner.insert1(owner | {"account_id": person(chance.choice(LOGINS))})
        for grantee in chance.sample([*map(person, LOGINS), inner, outer], chance.randrange(3)):
            granted = grant(path, grantee, "group" if grantee in (inner, outer) else "account")
            if chance.random() < 0.3:
                PermissionEnded.insert1({**granted, "ended_at": MONDAY + timedelta(days=1)})
            for told in range(chance.randrange(3)):
                expiry = {
                    "expiry_told_at": MONDAY + timedelta(minutes=told),
                    "expires_at": chance.choice((MONDAY, datetime(2100, 1, 1))),
                }
                PermissionExpiry.insert1(granted | expiry)
    return paths


def test_the_index_shows_to_each_what_the_rule_of_whom_to_ask_says(company: Binding) -> None:
    paths = [*random_state(company, random.Random(8)), PLATE_1, PLATE_2, TRIAL]
    files = [path_id(path) for path in paths]
    Document.populate()
    counts = set()
    for default in ("known", "open"):
        CompanyAskChoice.insert1({"company_chosen_at": datetime.now(UTC).replace(tzinfo=None), "ask_choice": default})
        for login in (*LOGINS, "stranger"):
            asker = asking(company, login, datetime.now(UTC).replace(tzinfo=None))
            rows = asker.ask("names", ("file_id",), terms=("",))
            shown = {(file_id, name, path if known else "", not known) for file_id, name, path, known in rows}
            found = search(asker, "", limit=100)
            assert {(hit.file_id, hit.name, hit.path, hit.limited) for hit in found.hits} == shown
            assert found.total == len(shown) == len(found.hits)  # none was left out only when it was to be shown
            counts.add(len(shown))
    assert len(counts) > 4  # they do not all see the same
    assert check(company) == (len(files), 0)


def writable(binding: Binding) -> Engine:
    """Return the index to be spoilt."""
    if is_wanted(binding.settings):
        return ServerIndex(binding)
    return Index(following.folder_of(binding.settings) / "index")


def test_an_index_that_is_wrong_is_put_right(company: Binding, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rebuild(company) == 3
    assert ask(company, "").total == 2
    documents = Tables(company.connection).documents({path_id(PLATE_1), path_id(TRIAL)})
    wrong = replace(documents[path_id(TRIAL)], digest="0" * 64, views=documents[path_id(PLATE_1)].views)
    writable(company).put([wrong])
    assert ask(company, "").total == 2  # shown only what is true
    assert check(company) == (3, 1)
    assert check(company) == (3, 0)
    assert len(DocumentChange()) == 3  # what is to be indexed had not changed
    writable(company).put([replace(documents[path_id(TRIAL)], file_id="f" * 32)])
    assert check(company).wrong > 0
    assert check(company) == (3, 0)
    following._the_index(company)._forget()
    monkeypatch.setattr(describing, "MANY", 1)
    turns = [advance(company, 0.0) for _ in range(4)]  # a file each, and then there is none
    assert turns == [False, False, False, True]
    assert advance(company, 0.0)
    assert check(company) == (3, 0)


@pytest.mark.parametrize("backend", ["postgresql"])  # no statement differs
def test_an_index_of_this_machine_that_is_broken_is_made_anew(company: Binding) -> None:
    assert ask(company, "").total == 2
    folder = following.folder_of(company.settings) / "index"
    (folder / "meta.json").write_text("{}")
    assert names(ask(company, "plate 1")) == ["plate_1.csv"]
    Index(folder)


def test_the_command(company: Binding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_PLATFORM_REALM", REALM)
    monkeypatch.setenv("DATA_PLATFORM_ACCOUNT", "zoe")
    settings.cache_clear()
    told = CliRunner().invoke(main, ["search", "plate", "itx", "--explain"])
    assert told.exit_code == 0, told.output
    assert "1. plate_1.csv, Carol Ito, Flow cytometry" in told.output
    assert "its name has plate; it lies in ITX_47213" in told.output
    machine = json.loads(CliRunner().invoke(main, ["search", "plate", "--kind", "csv", "--json"]).output)
    assert machine == json.loads(json.dumps(asdict(ask(company, "plate", facets={"kind": ["csv"]})), default=str))
    assert "Nothing fits" in CliRunner().invoke(main, ["search", "layoffs"]).output
    assert "3 files" in CliRunner().invoke(main, ["search", "--rebuild"]).output
