"""The dashboard on a catalogue that real reads have made, without a browser."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from browsers import PATIENCE
from colleagues import REALM, Colleagues
from streamlit.testing.v1 import AppTest
from tiny_model import write_model
from trials import with_a_trial

import dashboard
from dashboard.catalogue import catalogue
from dashboard.queries import files as queries
from data_platform.errors import SearchUnavailable, SettingsError
from data_platform.serve import ADDRESS, serve
from data_platform.settings import SearchSettings
from populate.search.meaning import TheMeanings, advance_meaning
from schemas.binding import Binding, unbind
from schemas.identity import account_id
from schemas.locks import EXCLUSIVE, locked
from schemas.sharing import Permission, PermissionEnded
from schemas.survey import HoursSaved, SurveyAsked, SurveyChoice

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # on a busy machine
PAGE = Path(dashboard.__file__).with_name("pages") / "files.py"
on_one_database = pytest.mark.parametrize("backend", ["postgresql"])  # the queries are tested on each


@pytest.fixture
def backend() -> str:
    """What the pages ask of the database is tested on both; here a page shows it on both."""
    return "postgresql"


@pytest.fixture
def people(binding: Binding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Colleagues]:
    """A trial in two versions that Aiko reads and Chen has copied, all backed up."""
    catalogue.clear()
    yield with_a_trial(tmp_path / "shares", monkeypatch)
    catalogue.clear()


def opened(page: str = "files", **address: str) -> AppTest:
    app = AppTest.from_file(str(PAGE.with_name(f"{page}.py")), default_timeout=PATIENCE)
    for name, value in address.items():
        app.query_params[name] = value
    return checked(app.run())


def checked(app: AppTest) -> AppTest:
    assert not app.exception, app.exception
    assert not app.error, app.error
    return app


def metrics(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


@on_one_database
def test_files_are_listed_with_owner_readers_versions_and_backup(people: Colleagues) -> None:
    app = opened()
    listed = app.dataframe[0].value.set_index("Name")
    assert set(listed.index) == {"trial.csv", "copy.csv"}
    trial = listed.loc["trial.csv"]
    assert (trial["Owner"], trial["Versions"], trial["Size"], trial["Backup"]) == ("maria", 2, 6, "✓ backed up")
    assert list(trial["Readers"]) == ["aiko"]
    assert metrics(app) | {"People": ""} == {
        "Reads": "3",
        "People": "",
        "Files": "2",
        "Versions": "3",
        "Backed up": "11 bytes",
        "Saved": "5 bytes",
    }
    assert not app.info


@on_one_database
def test_search_sort_and_filter(people: Colleagues) -> None:
    app = opened()
    checked(app.text_input(key="search").set_value("TRIAL").run())
    assert list(app.dataframe[0].value["Name"]) == ["trial.csv"]
    checked(app.text_input(key="search").set_value("aria/tr").run())  # no name starts so, but a path has it
    assert list(app.dataframe[0].value["Name"]) == ["trial.csv"]
    assert any("No file's name starts like this" in caption.value for caption in app.caption)
    checked(app.text_input(key="search").set_value("c").run())
    assert list(app.dataframe[0].value["Name"]) == ["copy.csv"]
    checked(app.toggle(key="anywhere").set_value(True).run())
    assert set(app.dataframe[0].value["Name"]) == {"trial.csv", "copy.csv"}
    checked(app.toggle(key="anywhere").set_value(False).run())
    checked(app.text_input(key="search").set_value("").run())
    checked(app.selectbox(key="sort").set_value("name").run())
    assert list(app.dataframe[0].value["Name"]) == ["trial.csv", "copy.csv"]
    checked(app.selectbox(key="state").set_value("failed").run())
    assert not app.dataframe
    assert "No file matches" in app.info[0].value


@on_one_database
def test_the_address_leads_to_the_details_of_a_file(people: Colleagues, binding: Binding) -> None:
    identity = queries.files(binding, search="trial")["file_id"][0]
    app = opened(file=identity)
    assert app.text[0].value.startswith("trial.csv\n")
    versions, readers, copies = (table.value for table in app.dataframe[1:4])
    assert list(versions["size"]) == [6, 5]
    assert list(readers["reader"]) == ["aiko"]
    assert list(copies["file_name"]) == ["copy.csv"]
    assert opened(file="no such file").warning


def said(app: AppTest) -> str:
    return "\n".join(each.value for kind in ("title", "text", "caption", "info", "markdown") for each in app.get(kind))


@on_one_database
def test_pages_show_each_what_they_may_know(
    people: Colleagues, binding: Binding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = queries.files(binding, search="trial")["file_id"][0]
    people.account("aiko")
    assert "trial.csv" in said(opened("search", q="trial"))
    assert "No file that you may know fits" in said(opened("search", q="nothing of the kind"))
    assert {"2 versions", "maria"} <= set(re.findall(r"2 versions|maria", said(opened("file", id=trial))))
    versions = opened("file", id=trial, part="versions")
    assert list(versions.dataframe[0].value["Size"]) == [6, 5]
    checked(next(button for button in versions.button if button.label == "Show what differs").click().run())
    assert "copy.csv" in said(opened("file", id=trial, part="copies"))
    assert "Nobody has read a file of yours" in said(opened("mine"))
    maria = account_id(REALM, "maria")
    assert "trial.csv" in said(opened("person", id=maria))
    people.account("maria")
    receipts = opened("mine").dataframe[0].value
    assert list(zip(receipts["name"], receipts["person"], receipts["reads"], strict=True)) == [("trial.csv", "aiko", 2)]
    assert "1 reader" in said(opened("file", id=trial, part="readers"))
    people.account("chen")
    assert "No such file" in said(opened("file", id=trial))
    assert said(opened("file", id=trial)) == said(opened("file", id="0" * 32))
    people.account("a stranger")
    assert "does not know you yet" in said(opened("mine"))
    assert "does not know you yet" in said(opened("search"))

    # By meaning, too: what is found so says why, and it is told what is not computed yet.
    people.account("aiko")
    model = write_model(tmp_path / "model", [("trial", "experiment")])
    chosen = SearchSettings(semantic=True, model=model, least_similarity=0.1)
    monkeypatch.setattr(binding, "settings", binding.settings.model_copy(update={"search": chosen}))
    while not advance_meaning(binding, 1.0):
        pass
    found = said(opened("search", q="experiment"))
    assert "it means about the same as “experiment”" in found
    assert re.search(r"alike in meaning 0\.\d", found)
    assert re.search(r"files? that you may know, \d of them by what they mean alone", found)
    assert "still being computed" not in found
    meanings = TheMeanings(binding)
    meanings._forget()
    with locked(meanings._folder / "lock", EXCLUSIVE, 0.0):  # as if another process had only begun
        assert "still being computed on this machine: 0% of all so far" in said(opened("search", q="experiment"))


@on_one_database
def test_a_grant_shows_a_file_to_whom_it_was_given_and_its_end_to_nobody(people: Colleagues, binding: Binding) -> None:
    trial = queries.files(binding, search="trial")["file_id"][0]
    grant = {"file_id": trial, "grantee_id": account_id(REALM, "chen"), "granted_since": datetime(2026, 1, 1)}
    addresses: list[tuple[str, dict[str, str]]] = [
        ("file", {"id": trial}),
        ("file", {"id": trial, "part": "versions"}),
        ("file", {"id": trial, "part": "origin"}),
        ("person", {"id": account_id(REALM, "maria")}),
    ]

    def shown(account: str) -> list[bool]:
        people.account(account)
        found = [(page, said(opened(page, **address))) for page, address in addresses]
        return ["No such file" not in text if page == "file" else "trial.csv" in text for page, text in found]

    assert (shown("chen"), shown("aiko"), shown("chen")) == ([False] * 4, [True] * 4, [False] * 4)
    Permission.insert1({**grant, "grantee": "chen", "grantee_kind": "account", "permission_level": "read"})
    assert (shown("chen"), shown("aiko"), shown("chen")) == ([True] * 4, [True] * 4, [True] * 4)
    PermissionEnded.insert1({**grant, "ended_at": datetime(2026, 1, 2)})
    assert (shown("chen"), shown("aiko"), shown("chen")) == ([False] * 4, [True] * 4, [False] * 4)


@on_one_database
def test_choices_and_marks_are_entered_by_their_person(people: Colleagues, binding: Binding) -> None:
    trial = queries.files(binding, search="trial")["file_id"][0]
    people.account("aiko")
    asked = opened("mine")
    assert "How many hours did shared data save you" in said(asked)
    checked(asked.run())
    assert "How many hours did shared data save you" in said(asked)  # as long as this session goes on
    checked(asked.number_input(key="survey hours").set_value(-1.5).run())
    checked(asked.button(key="survey tell").click().run())
    assert HoursSaved.to_arrays("hours_saved").tolist() == [-1.5]
    assert all("How many hours did shared data" not in said(each) for each in (asked, opened("mine")))
    people.account("maria")
    checked(opened("mine").button(key="survey never").click().run())
    assert SurveyChoice.to_dicts()[0]["person_id"] == account_id(REALM, "maria")
    assert len(SurveyAsked()) == 2
    people.account("aiko")
    app = opened("mine", part="choices")
    checked(app.radio[0].set_value("open").run())
    assert opened("mine", part="choices").radio[0].value == "open"
    app = opened("file", id=trial)
    checked(next(button for button in app.button if button.label == "Follow").click().run())
    assert any(button.label == "Following" for button in app.button)
    assert "no new version since" in said(opened("mine", part="kept"))


@on_one_database
def test_an_empty_catalogue_says_what_to_do(binding: Binding) -> None:
    catalogue.clear()
    app = opened()
    assert "Nothing has been read yet" in app.info[0].value
    assert "data-platform read" in app.code[0].value
    catalogue.clear()


@on_one_database
def test_a_database_that_cannot_be_reached_is_one_sentence(people: Colleagues, monkeypatch: pytest.MonkeyPatch) -> None:
    from data_platform.settings import settings

    catalogue.clear()
    unbind()
    monkeypatch.setenv("DATA_PLATFORM_DATABASE__HOST", "127.0.0.1")
    monkeypatch.setenv("DATA_PLATFORM_DATABASE__PORT", "1")
    settings.cache_clear()
    app = AppTest.from_file(str(PAGE), default_timeout=PATIENCE).run()
    assert not app.exception
    assert app.error[0].value == "The catalogue cannot be shown."
    assert app.text[0].value
    monkeypatch.undo()
    catalogue.clear()


@on_one_database
def test_whoever_waits_for_an_index_that_nobody_makes_is_told(
    people: Colleagues, monkeypatch: pytest.MonkeyPatch
) -> None:
    def search(*_: object, **__: object) -> None:
        raise SearchUnavailable("The index is being made, 0% so far. Run `data-platform search --keep`.")

    monkeypatch.setattr("populate.search.searching.prepare", lambda *_: False)
    monkeypatch.setattr("populate.search.searching.search", search)
    app = AppTest.from_file(str(PAGE.with_name("search.py")), default_timeout=PATIENCE).run()
    assert app.error[0].value == "The search does not answer."
    assert "search --keep" in app.text[0].value


def test_a_port_that_is_taken_is_refused() -> None:
    with socket.create_server((ADDRESS, 0)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"{number} .* --port"):
            serve(number)


@pytest.mark.parametrize("beyond", ["0.0.0.0", "192.0.2.1"])
def test_nobody_is_let_in_unasked_from_elsewhere_by_mistake(beyond: str) -> None:
    with pytest.raises(SettingsError, match=f"everybody who reaches {beyond}.*--without-sign-in"):
        serve(address=beyond)


def test_the_page_of_questions_alone_may_be_reached_from_elsewhere() -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:  # so that it ends where it would listen
        number = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"{number} .* --port"):
            serve(number, "0.0.0.0", answers_only=True)


@pytest.mark.parametrize("address", ["::", "localhost", "dashboard.example.org", ""])
def test_an_address_that_may_be_anything_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match="not an IPv4 address"):
        serve(address=address)
