"""The page of a person, and what is one's own, as one may know it; on both databases."""

from __future__ import annotations

import pytest
from small_company import NOW, asking, deliver, dismiss, hire, path_id, person

from populate.page.page import file_page
from populate.pipeline import SCHEMAS
from populate.who.asker import choose
from populate.who.asks import record_ask, record_outcome
from populate.who.own import SOMEBODY, open_asks, questions_to, receipts, stored_about
from populate.who.person import find_people, people_in, person_page
from schemas.binding import Binding


@pytest.fixture
def company(binding: Binding) -> Binding:
    for login, department in (("amy", "Clinic"), ("ben", "Clinic"), ("carla", "Labs"), ("dora", "Labs")):
        hire(login, department, name=f"{login.title()} Smith", title="Scientist")
    reads = [("ben", "/a/trial visits.csv", "amy", 1), ("carla", "/a/trial visits.csv", "amy", 2)]
    deliver(binding, reads, batch="first", script="/home/ben/model.py")
    deliver(binding, [("dora", "/a/secret trial.csv", "amy", 3)], batch="second", script="look.py")
    deliver(binding, [("ben", "/a/trial plan.csv", "carla", 3)], batch="third", script="/home/ben/model.py")
    return binding


def test_a_person_is_seen_by_files_that_one_may_know_if_they_may_be_named(company: Binding) -> None:
    ben, dora = asking(company, "ben"), asking(company, "dora")
    page = person_page(ben, person("amy"))
    assert page is not None
    assert [file.name for file in page.produces] == ["trial visits.csv"]
    assert page.produces[0].others == 2
    assert [file.name for file in person_page(dora, person("amy")).produces] == ["secret trial.csv"]  # type: ignore[union-attr]
    carla = person_page(ben, person("carla"))
    assert carla is not None
    assert [file.file_id for file in carla.uses] == [path_id("/a/trial visits.csv")]
    assert carla.topics == ["trial"]
    assert carla.route.startswith("directly")
    mine = person_page(ben, person("ben"))
    assert mine is not None
    assert [script.name for script in mine.scripts] == ["model.py"]
    assert mine.route == ""
    assert person_page(ben, "nobody") is None
    for odd in ("a\x00b", "\ud800"):  # an address can have anything in it
        assert person_page(ben, odd) is file_page(ben, odd) is None
        assert find_people(ben, odd) == []

    # Who is closed, or left, is like nobody.
    assert [one.name for one in find_people(ben, "smith LABS")] == ["Carla Smith", "Dora Smith"]
    choose(asking(company, "carla"), "closed")
    dismiss("dora", NOW.date())
    later = asking(company, "ben")
    assert find_people(later, "labs") == people_in(later, "Labs") == []
    assert person_page(later, person("carla")) is None
    assert person_page(asking(company, "carla"), person("carla")) is not None
    assert {use.reader for use in receipts(asking(company, "amy"))} == {"Ben Smith", ""}


def test_one_is_told_of_own_files_and_asks_and_of_all_that_is_stored(company: Binding) -> None:
    amy = asking(company, "amy")
    found = {(use.name, use.reader, use.analysis, use.reads) for use in receipts(amy)}
    assert found == {
        ("trial visits.csv", "Ben Smith", "model.py", 1),
        ("trial visits.csv", "Carla Smith", "model.py", 1),
        ("secret trial.csv", "Dora Smith", "look.py", 1),
    }
    assert receipts(asking(company, "dora")) == []
    assert questions_to(amy) == []
    (ben,) = find_people(amy, "ben")
    record_ask(amy, ben)
    assert [colleague.name for colleague, _ in open_asks(amy)] == ["Ben Smith"]
    record_outcome(amy, ben, "answered")
    assert open_asks(amy) == []
    # Everything that is stored about one is handed out; others who stand in it are not named.
    tables = {name: (columns, rows) for name, columns, rows in stored_about(asking(company, "ben"), SCHEMAS)}
    for name in ("people.Person", "people.Account", "people.Membership", "sharing.Access", "sharing.ShareEdge"):
        assert tables[name][1], name
    assert len(tables["sharing.Access"][1]) == 2
    assert len(tables["sharing.AccessRun"][1]) == 2  # by the runs that are Ben's
    columns, rows = tables["asking.Ask"]
    (row,) = [dict(zip(columns, row, strict=True)) for row in rows]
    assert (row["asked_id"], row["asker_id"]) == (person("ben"), SOMEBODY)
    others = {person("amy"), person("carla"), person("dora")}
    edges, found = tables["sharing.ShareEdge"]
    assert not {value for row in found for value in row} & others
    assert "producer_id" in edges
    assert not any(name.startswith("directory") for name in tables)
