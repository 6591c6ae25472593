"""Whatever may be known by whom: every door answers the same whether a file exists that the asker may not know.

A state machine lets a company of a few people get into random states of permissions, names, owners, choices, groups,
tags, notes and collections. In each of them some doors are asked twice: without a file, and with that file in all
tables. The number of states is `HIDDEN_STATES`, 60 unless the environment says otherwise.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from small_company import MONDAY, NOW, REALM, asking, deliver, hire, path_id, person

from data_platform.errors import DataPlatformError
from data_platform.settings import SearchSettings, load
from populate.describe.view import describe_file, describe_run
from populate.notes.collected import collection, collections_of
from populate.notes.subscriptions import follow, subscriptions_of
from populate.notes.tags import add_tag, all_tagged, all_tags, tagged
from populate.notes.texts import add_note, notes_of
from populate.page.difference import difference
from populate.page.page import file_page
from populate.profile.view import profile_of
from populate.provenance.walk import follow as trace
from populate.recall.looking import recalls_of
from populate.recall.making import recall, version_of
from populate.search.describing import describe
from populate.search.following import TheIndex
from populate.search.on_server import OnServer
from populate.search.searching import complete, search
from populate.search.server_tables import deploy_index
from populate.who.analyses import similar_to
from populate.who.asker import Asker, find_colleague, oneself
from populate.who.own import open_asks, questions_to, receipts
from populate.who.person import find_people, people_in, person_page
from populate.who.together import collaborators_of
from populate.who.whom import about_text
from schemas.asking import PersonAskChoice
from schemas.binding import Binding
from schemas.catalogue import Blob, File, FileName, FileOwner, FileSet, FileSetMember, Version
from schemas.connection import Connection
from schemas.directory import DirectoryGroup, GroupMember
from schemas.following import PermissionExpiry
from schemas.identity import identity, version_id
from schemas.notes import Collection, CollectionFile, CollectionTitle, FileTag, Note
from schemas.output import Output
from schemas.people import Departure
from schemas.sharing import Access, Permission, PermissionEnded, ShareEdge

STATES = int(os.environ.get("HIDDEN_STATES", "60"))
STEPS = 10
DOORS_AT_A_TIME = 4

LOGINS = ("zoe", "bob", "carol", "dan", "eve")
OTHERS = LOGINS[1:]
PATHS = ("/flow/plate one.csv", "/flow/plate two.csv", "/clinic/lung trial.xlsx", "/board/budget plate.csv")
HIDDEN = "/board/secret plate layoffs.csv"
WORDS = ("plate", "lung", "layoffs", "secret")
SCRIPT = "/code/plates.py"

logins, others = st.sampled_from(LOGINS), st.sampled_from(OTHERS)
paths, days = st.sampled_from(PATHS), st.integers(0, 25)
no_or_others, no_or_paths = st.sampled_from(("", *OTHERS)), st.sampled_from(("", *PATHS))
choices, words = st.sampled_from(("open", "known", "closed")), st.sampled_from(WORDS)


def content_of(path: str) -> str:
    return (identity("bytes", f"{path} x") * 2)[:64]


@dataclass
class Hidden:
    """A file that the asker may not know, and all that others have to do with it."""

    owner: str = "dan"
    readers: tuple[tuple[str, int], ...] = (("bob", 3), ("eve", 9))
    content: str = content_of(HIDDEN)
    older: str = ""
    ended: bool = False
    expired: bool = False
    granted_to: str = ""
    renamed: str = ""
    of_set: str = ""
    written_by: str = ""
    labels: tuple[str, ...] = ()


class Company(RuleBasedStateMachine):
    """The states, in one transaction that is undone at the end.

    Parameters
    ----------
    world
        The binding to a company of which each file was read, and the runs in which each login reads.
    """

    number = 0

    def __init__(self, world: tuple[Binding, dict[str, str]]) -> None:
        super().__init__()
        self.binding, self.runs = world
        self.hidden = Hidden()
        self.seed = self.checks = self.events = 0
        self.choices: dict[str, str] = {}
        self.binding.ensure()
        self.binding.connection.start_transaction()

    def teardown(self) -> None:
        self.binding.connection.cancel_transaction()

    # What happens in the company.

    @initialize(seed=st.integers(0, 2**16))
    def begin(self, seed: int) -> None:
        self.seed = seed
        self._collection("zoe", "Mine", PATHS[0])
        self._collection("bob", "Shared", PATHS[1])

    @rule(login=logins, path=paths, day=days)
    def somebody_reads(self, login: str, path: str, day: int) -> None:
        self._read(login, path, day, content_of(path), "carol")

    @rule(login=logins, path=paths, day=days, ended=st.sampled_from(("", "ended", "expired")), group=st.booleans())
    def somebody_is_granted(self, login: str, path: str, day: int, ended: str, group: bool) -> None:
        grantee = identity("group", "inner") if group else person(login)
        self._grant(path, grantee, "group" if group else "account", day, ended)

    @rule(login=logins, path=paths, day=days)
    def a_file_gets_another_owner(self, login: str, path: str, day: int) -> None:
        since = (MONDAY + timedelta(days=day)).date()
        self._once(FileOwner, {"file_id": path_id(path), "owner_since": since, "account_id": person(login)})

    @rule(path=paths, day=days, word=words)
    def a_file_is_renamed(self, path: str, day: int, word: str) -> None:
        self._name(path, f"/elsewhere/{word}.csv", day)

    @rule(login=logins, choice=choices)
    def somebody_chooses(self, login: str, choice: str) -> None:
        self.choices[login] = choice
        at = MONDAY + timedelta(days=20, seconds=self._next())
        PersonAskChoice.insert1({"person_id": person(login), "chosen_at": at, "ask_choice": choice})

    @rule(login=logins)
    def somebody_joins_the_group(self, login: str) -> None:
        joined = MONDAY + timedelta(seconds=self._next())
        member = {"group_id": identity("group", "inner"), "account_id": person(login), "joined_at": joined}
        GroupMember.insert1(member)

    @rule(login=others, day=days)
    def somebody_leaves(self, login: str, day: int) -> None:
        departed = (MONDAY + timedelta(days=day)).date()
        self._once(Departure, {"person_id": person(login), "departed_on": departed})

    @rule(login=others, path=paths, word=words)
    def somebody_says_something_about_a_file(self, login: str, path: str, word: str) -> None:
        self._label(path, login, word)

    @rule(login=logins, path=paths, day=days, source=paths)
    def a_run_writes(self, login: str, path: str, day: int, source: str) -> None:
        self._write(login, path, day, content_of(source))

    # What becomes of the hidden file.

    @rule(owner=others, readers=st.lists(st.tuples(others, days), max_size=4), content=no_or_paths)
    def it_is_read(self, owner: str, readers: list[tuple[str, int]], content: str) -> None:
        self.hidden.owner, self.hidden.readers = owner, tuple(readers)
        self.hidden.content = content_of(content or HIDDEN)

    @rule(older=no_or_paths, renamed=words, written_by=no_or_others)
    def it_has_a_past(self, older: str, renamed: str, written_by: str) -> None:
        self.hidden.older, self.hidden.renamed = older and content_of(older), renamed
        self.hidden.written_by = written_by

    @rule(
        who=st.sampled_from(("", *OTHERS)),
        ended=st.booleans(),
        expired=st.booleans(),
        of_set=st.sampled_from(("", *PATHS)),
    )
    def it_is_granted(self, who: str, ended: bool, expired: bool, of_set: str) -> None:
        self.hidden.granted_to, self.hidden.ended, self.hidden.expired = who, ended, expired
        self.hidden.of_set = of_set

    @rule(labels=st.lists(words, max_size=3))
    def it_is_labelled(self, labels: list[str]) -> None:
        self.hidden.labels = tuple(labels)

    # What must hold in each state.

    @invariant()
    def nothing_tells_that_it_exists(self) -> None:
        Company.number += 1
        self.checks += 1
        chance = random.Random(f"{self.seed} {self.checks}")  # the same if an example is tried again
        chosen = chance.sample(sorted(DOORS), DOORS_AT_A_TIME)
        asker, run = asking(self.binding, "zoe", NOW), chance.choice(sorted(self.runs.values()))
        if self.choices.get(self.hidden.owner) == "open":
            self.hidden.owner = next((login for login in OTHERS if self.choices.get(login) != "open"), "")
        if not self.hidden.owner:
            return  # everybody lets their files be found
        path = chance.choice(PATHS)
        without = self._answers(asker, chosen, run, path)
        with self._undone():
            self._insert_hidden()
            again = asking(self.binding, "zoe", NOW)
            assert path_id(HIDDEN) not in {row[0] for row in again.ask("names", ("file_id",), terms=("",))}
            assert self._answers(again, chosen, run, path) == without

    def _answers(self, asker: Asker, doors: list[str], run: str, path: str) -> dict[str, Any]:
        if {"search", "complete"} & set(doors):
            for index in (TheIndex(self.binding), OnServer(_of_server(self.binding))):
                index._forget()
        return {door: refused_alike(DOORS[door], asker, run, path) for door in doors}

    @contextmanager
    def _undone(self) -> Iterator[None]:
        self.binding.connection.query("SAVEPOINT before_hidden")
        try:
            yield
        finally:
            self.binding.connection.query("ROLLBACK TO SAVEPOINT before_hidden")

    def _insert_hidden(self) -> None:
        it, file_id = self.hidden, path_id(HIDDEN)
        File.insert1({"file_id": file_id, "source_system": "file/lab", "item_id": HIDDEN})
        self._name(HIDDEN, HIDDEN, 1)
        if it.renamed:
            self._name(HIDDEN, f"/board/{it.renamed} hidden.csv", 12)
        self._once(FileOwner, {"file_id": file_id, "owner_since": date(2026, 5, 5), "account_id": person(it.owner)})
        for content in dict.fromkeys(filter(None, (it.older, it.content))):
            self._version(HIDDEN, content)
        for login, day in it.readers:
            self._read(login, HIDDEN, day, it.older or it.content, it.owner)
            self._read(login, HIDDEN, day + 1, it.content, it.owner)
        if it.granted_to:
            self._grant(HIDDEN, person(it.granted_to), "account", 2, "")
        if it.ended:
            self._grant(HIDDEN, person("zoe"), "account", 3, "ended")
        if it.expired:
            self._grant(HIDDEN, person("zoe"), "account", 4, "expired")
            self._put("zoe", "Mine", HIDDEN)
        if it.written_by:
            self._write(it.written_by, HIDDEN, 8, it.content)
        if it.of_set:
            self._set_of(HIDDEN, it.content, it.of_set)
        for word in it.labels:
            self._label(HIDDEN, it.owner, f"{word} hidden")
        self._put("bob", "Shared", HIDDEN)
        describe(self.binding.connection, {file_id})

    # How rows are made.

    def _next(self) -> int:
        self.events += 1
        return self.events

    def _once(self, table: Any, row: dict[str, Any]) -> None:
        table.insert1(row, skip_duplicates=True)

    def _version(self, path: str, content: str) -> None:
        self._once(Blob, {"sha256": content, "blob_size": 100})
        key = {"file_id": path_id(path), "version_id": version_id("1", content)}
        self._once(Version, {**key, "sha256": content, "revision": "1"})

    def _read(self, login: str, path: str, day: int, content: str, owner: str) -> None:
        number, at = self._next(), MONDAY + timedelta(days=day)
        row = {
            **{"event_id": identity("state", str(number)), "batch_id": identity("batch", login)},
            **{"execution_id": self.runs[login], "accessed_at": at, "sequence": 1000 + number, "outcome": "ok"},
            **{"account_realm": REALM, "account_login": login, "account_id": person(login), "known_by": "setting"},
            **{"source_system": "file/lab", "source_kind": "file", "url": f"file://{path}", "item_id": path},
            **{"file_id": path_id(path), "file_name": path.rpartition("/")[2], "file_path": path},
            **{"owner_realm": REALM, "owner_login": owner, "revision": "1", "access_size": 100},
            **{"version_id": version_id("1", content), "sha256": content},
        }
        Access.insert1(row)
        if login != owner:
            edge = {"producer_id": person(owner), "consumer_id": person(login), "file_id": path_id(path)}
            self._once(ShareEdge, {**edge, "shared_on": at.date(), "channel": "read"})

    def _grant(self, path: str, grantee: str, kind: str, day: int, over: str) -> None:
        since = MONDAY + timedelta(days=day, microseconds=self._next())
        key = {"file_id": path_id(path), "grantee_id": grantee, "granted_since": since}
        Permission.insert1({**key, "grantee": "somebody", "grantee_kind": kind, "permission_level": "read"})
        if over == "ended":
            PermissionEnded.insert1({**key, "ended_at": since + timedelta(minutes=5)})
        elif over:
            PermissionExpiry.insert1({**key, "expiry_told_at": since, "expires_at": since + timedelta(hours=1)})

    def _name(self, path: str, called: str, day: int) -> None:
        row = {"file_id": path_id(path), "named_on": (MONDAY + timedelta(days=day)).date(), "file_path": called}
        self._once(FileName, {**row, "name_id": identity("name", called), "file_name": called.rpartition("/")[2]})

    def _label(self, path: str, login: str, word: str) -> None:
        at = MONDAY + timedelta(days=10, microseconds=self._next())
        tag = {"file_id": path_id(path), "tag": word, "tagged_at": at, "tagged_by": person(login)}
        FileTag.insert1(tag)
        note = {"note_id": identity("note", str(self.events)), "file_id": path_id(path), "noted_by": person(login)}
        Note.insert1({**note, "noted_as": "owner", "noted_at": at, "note_text": f"about {word}"})

    def _collection(self, keeper: str, name: str, *files: str) -> None:
        key, at = {"collection_id": identity("collection", name)}, MONDAY
        Collection.insert1({**key, "keeper_id": person(keeper), "collection_made_at": at})
        CollectionTitle.insert1({**key, "titled_at": at, "collection_name": name, "collection_shared": True})
        for path in files:
            self._put(keeper, name, path)

    def _put(self, keeper: str, name: str, path: str) -> None:
        at = MONDAY + timedelta(days=1, microseconds=self._next())
        key = {"collection_id": identity("collection", name), "file_id": path_id(path)}
        CollectionFile.insert1({**key, "collected_at": at})

    def _write(self, login: str, path: str, day: int, content: str) -> None:
        number = self._next()
        Output.insert1(
            {
                **{"event_id": identity("output", str(number)), "batch_id": identity("batch", login)},
                **{"execution_id": self.runs[login], "written_at": MONDAY + timedelta(days=day, hours=1)},
                **{"account_realm": REALM, "account_login": login, "account_id": person(login)},
                **{"file_id": path_id(path), "file_name": path.rpartition("/")[2], "file_path": path},
                **{"sha256": content, "source_system": "file/lab", "item_id": path},
            }
        )

    def _set_of(self, path: str, content: str, member: str) -> None:
        """Let the file be a set that has another one in it."""
        self._once(FileSet, {"file_id": path_id(path)})
        of = {"file_id": path_id(path), "version_id": version_id("1", content), "path_id": identity("path", member)}
        inner = {"member_id": path_id(member), "member_version": version_id("1", content_of(member))}
        self._once(FileSetMember, {**of, **inner, "member_path": member[1:]})


def refused_alike(door: Callable[[Asker, str, str], Any], asker: Asker, run: str, path: str) -> Any:
    """Return what a door answers, or its refusal."""
    try:
        return door(asker, run, path)
    except DataPlatformError as error:
        return type(error).__name__, str(error)


class Within(Binding):
    """A binding in the midst of a transaction, which is that of the states."""

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        yield self.connection


def _of_server(binding: Binding) -> Binding:
    """Return the same with the index on its server."""
    chosen = binding.settings.model_copy(update={"search": SearchSettings(engine="postgresql")})
    return Within(binding.instance, binding.backend, chosen)


def of_both_engines(door: Callable[[Asker], Any], asker: Asker) -> Any:
    """Return what a door answers by the index of this machine, and by that of the server."""
    return [door(asker), door(replace(asker, binding=_of_server(asker.binding)))]


def _trace(asker: Asker, about: str, *, back: bool) -> Any:
    return trace(asker, about, load(realm=REALM, account="zoe"), depth=9, back=back)


_hidden = path_id(HIDDEN)
_versions = [version_id("1", content_of(path)) for path in (HIDDEN, PATHS[0])]
DOORS: dict[str, Callable[[Asker, str, str], Any]] = {
    "who": lambda asker, run, path: [about_text(asker, text, 9) for text in ("plate", "secret layoffs", "lung trial")],
    "search": lambda asker, run, path: of_both_engines(
        lambda one: [search(one, text, explain=True) for text in ("plate", "layofs", "csv", "")], asker
    ),
    "complete": lambda asker, run, path: of_both_engines(
        lambda one: [complete(one, text) for text in ("p", "se", "lay")], asker
    ),
    "page": lambda asker, run, path: [file_page(asker, path_id(each)) for each in PATHS],
    "page of it": lambda asker, run, path: file_page(asker, _hidden),
    "difference": lambda asker, run, path: difference(asker, _hidden, *_versions),
    "whence": lambda asker, run, path: _trace(asker, content_of(path), back=True),
    "whither": lambda asker, run, path: _trace(asker, content_of(path), back=False),
    "whence of it": lambda asker, run, path: _trace(asker, content_of(HIDDEN), back=True),
    "whither by link": lambda asker, run, path: _trace(asker, f"file://{HIDDEN}", back=False),
    "people": lambda asker, run, path: [person_page(asker, person(login)) for login in LOGINS],
    "finding people": lambda asker, run, path: [find_people(asker, "o"), people_in(asker, "Clinic")],
    "collaborators": lambda asker, run, path: collaborators_of(asker, oneself(asker), 9, False),
    "collaborators of others": lambda asker, run, path: collaborators_of(asker, find_colleague(asker, "bob"), 9, True),
    "similar analyses": lambda asker, run, path: similar_to(asker, run, 9),
    "run": lambda asker, run, path: describe_run(asker, run),
    "description": lambda asker, run, path: describe_file(asker, path_id(path)),
    "description of it": lambda asker, run, path: describe_file(asker, _hidden),
    "receipts": lambda asker, run, path: [receipts(asker), questions_to(asker), open_asks(asker)],
    "tags": lambda asker, run, path: [all_tags(asker), all_tagged(asker), tagged(asker, "plate hidden")],
    "notes": lambda asker, run, path: notes_of(asker, [*map(path_id, PATHS), _hidden]),
    "collections": lambda asker, run, path: [collections_of(asker), collection(asker, "Mine")],
    "shared collection": lambda asker, run, path: collection(asker, "Shared"),
    "profile": lambda asker, run, path: profile_of(asker, content_of(HIDDEN)),
    "recalls": lambda asker, run, path: recalls_of(asker),
    "recalling it": lambda asker, run, path: recall(asker, _hidden, _versions[0], "wrong", steward=True),
    "version of it": lambda asker, run, path: version_of(asker, f"file://{HIDDEN}", load(realm=REALM, account="zoe")),
    "tagging it": lambda asker, run, path: add_tag(asker, _hidden, "mine"),
    "noting about it": lambda asker, run, path: add_note(asker, _hidden, "mine", steward=True),
    "following it": lambda asker, run, path: [subscriptions_of(asker), follow(asker, _hidden)],
}


@pytest.mark.timeout(300 if STATES <= 60 else 0)
@pytest.mark.parametrize("backend", ["postgresql"])  # that both answer alike is compared elsewhere
def test_no_door_tells_that_a_hidden_file_exists(binding: Binding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("populate.search.server._READING", "SELECT 1")  # the transaction has begun, and goes on writing
    deploy_index(_of_server(binding))
    departments = dict.fromkeys(LOGINS, "Screening") | {"dan": "Clinic", "eve": "Clinic"}
    for login, department in departments.items():
        hire(login, department)
    DirectoryGroup.insert1({"group_id": identity("group", "inner"), "group_realm": REALM, "group_key": "inner"})
    runs = {}
    for number, login in enumerate(LOGINS):
        reads = [(login, path, "carol", number) for path in (PATHS[number % 4], PATHS[(number + 1) % 4])]
        runs[login] = deliver(binding, reads, batch=login, script=SCRIPT, repository="https://git.example.org/lab/flow")
    for path in PATHS:
        describe(binding.connection, {path_id(path)})
    Company.number = 0
    run_state_machine_as_test(
        lambda: Company((binding, runs)),
        settings=hypothesis.settings(
            max_examples=max(1, STATES // STEPS),
            stateful_step_count=STEPS,
            derandomize=STATES <= 60,
            database=None,
        ),
    )
    assert Company.number >= STATES / 2
