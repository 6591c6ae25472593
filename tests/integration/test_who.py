"""Whom to ask: who is named, why, through whom, and that what is hidden changes nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from small_company import MONDAY, NOW, REALM, asking, deliver, dismiss, hire, path_id, person

from data_platform.cli import main
from data_platform.errors import RestrictionError
from data_platform.settings import settings
from populate.who.analyses import similar_to
from populate.who.asker import choose, chosen, find_colleague
from populate.who.asks import record_ask, record_outcome, willingness
from populate.who.evidence import Item
from populate.who.route import routes
from populate.who.together import collaborators_of
from populate.who.whom import Suggestion, about_item, about_text
from schemas.asking import Ask, AskOutcome, CompanyAskChoice, PersonAskChoice
from schemas.binding import Binding
from schemas.following import PermissionExpiry
from schemas.sharing import Permission, PermissionEnded

PLATE_1, PLATE_2 = "/flow/ITX_47213/plate_1.csv", "/flow/ITX_47213/plate_2.csv"
TRIAL = "/clinical/lung trial.csv"
HIDDEN = "/board/ITX_47213 layoffs.csv"


@pytest.fixture
def company(binding: Binding) -> Binding:
    """Zoe and Bob read Carol's plates, Bob reads Dan's trial, and a service reads everything."""
    for login, department in (("zoe", "Screening"), ("bob", "Screening"), ("dan", "Clinical"), ("eve", "Clinical")):
        hire(login, department)
    hire("carol", "Flow cytometry", name="Carol Ito", title="Head of cytometry")
    hire("robot", "Screening", kind="service")
    deliver(
        binding,
        [
            ("zoe", PLATE_1, "carol", 0),
            ("bob", PLATE_1, "carol", 0),
            ("bob", PLATE_1, "carol", 1),
            ("robot", PLATE_1, "carol", 2),
            ("zoe", PLATE_2, "carol", 3),
            ("bob", PLATE_2, "carol", 4),
            ("bob", TRIAL, "dan", 5),
            ("robot", TRIAL, "dan", 5),
        ],
        batch="first",
    )
    return binding


def ask(binding: Binding, text: str, login: str = "zoe") -> list[Suggestion]:
    return about_text(asking(binding, login), text, 10)


def of_item(binding: Binding, path: str, login: str = "zoe") -> list[Suggestion]:
    return about_item(asking(binding, login), Item(path_id(path), known=True), 10)


def open_up(login: str, choice: str = "open") -> None:
    PersonAskChoice.insert1({"person_id": person(login), "chosen_at": MONDAY, "ask_choice": choice})


def test_a_known_file_leads_to_its_owner_and_to_who_worked_with_it(company: Binding) -> None:
    carol, bob = of_item(company, PLATE_1)
    assert (carol.name, carol.department, carol.login) == ("Carol Ito", "Flow cytometry", "carol")
    assert carol.reason == "owns it"
    assert carol.route == "directly: Carol Ito shared 2 files with you"
    assert carol.score == 1.5  # owner and first known owner, never read it
    assert bob.reason == "read it on 2 of the 3 days on which anybody did, last on 5 May 2026"
    # Zoe may know two files and Bob touched both, so that he has read them tells nothing.
    assert bob.score == 0.0
    assert bob.route == "via Carol Ito, who shared 2 files with you"


def test_a_rare_interest_counts_more(company: Binding) -> None:
    deliver(company, [("zoe", "/x/alone.csv", "zoe", 1), ("zoe", "/x/other.csv", "zoe", 1)], batch="more")
    bob = of_item(company, PLATE_1)[1]
    assert bob.score == pytest.approx(2 / 3 * math.log(4 / 2), abs=1e-6)


def test_words_lead_to_people_with_the_reason_in_numbers(company: Binding) -> None:
    carol, bob = ask(company, "flow cytometry ITX_47213")
    assert carol.reason == "owns plate_1.csv, plate_2.csv; works in Flow cytometry as Head of cytometry"
    assert bob.name == "Bob"
    assert bob.reason == "read 2 files named like this, last on 8 May 2026"
    assert ask(company, "Head cytometry")[0].name == "Carol Ito"
    assert [found.name for found in ask(company, "screening")] == ["Bob"]  # neither the service nor Zoe herself
    assert ask(company, "...") == ask(company, "nothing-like-it") == []
    deliver(company, [("zoe", "/x/LEUKÄMIE 試験.csv", "dan", 1)], batch="umlaut")
    assert (
        [found.name for found in ask(company, "leukämie")] == [found.name for found in ask(company, "試験")] == ["Dan"]
    )


def test_the_way_to_somebody_goes_through_two_people_at_most(company: Binding) -> None:
    hire("fred", "Clinical")
    links = [
        ("carol", "/d/1.csv", "dan"),
        ("dan", "/e/2.csv", "eve"),
        ("dan", "/e/3.csv", "eve"),
        ("eve", "/f/4.csv", "fred"),
    ]
    deliver(company, [(*link, 6) for link in links], batch="chain")
    zoe, chain = asking(company, "zoe"), {person(login): login for login in ("carol", "dan", "eve", "fred")}
    assert [bool(way) for way in routes(zoe, list(chain)).values()] == [True, False, False, False]
    for owner in ("dan", "eve", "fred"):
        open_up(owner)
    ways = {chain[key]: way for key, way in routes(asking(company, "zoe"), list(chain)).items()}
    assert ways == {
        "carol": "directly: Carol Ito shared 2 files with you",
        "dan": "via Carol Ito, who shared 2 files with you",
        "eve": "via Carol Ito, who shared 2 files with you, then Dan",
        "fred": "",
    }
    assert routes(asking(company, "fred"), [person("eve")])[person("eve")] == "directly: Eve has 1 file of yours"
    assert routes(asking(company, "stranger"), [person("eve")]) == {person("eve"): ""}


def everything(binding: Binding, run: str) -> list[Any]:
    """Return all that Zoe can find out, with guesses of what is hidden from her among it."""
    zoe = asking(binding, "zoe")
    texts = ("ITX_47213", "layoffs", "board", "lung trial", "csv", "clinical", "Dan", "Bob", "cytometry", "secret")
    answers: list[Any] = [ask(binding, text) for text in texts]
    answers += [of_item(binding, path) for path in (PLATE_1, PLATE_2)]
    people = [find_colleague(zoe, name) for name in ("bob", "carol", "dan", "zoe")]
    answers += [collaborators_of(zoe, someone, 10, new) for someone in people for new in (False, True)]
    return [*answers, similar_to(zoe, run, 10)]


def test_a_hidden_file_changes_no_answer(company: Binding) -> None:
    run = deliver(company, [("zoe", PLATE_1, "carol", 6)], batch="own", script="/home/zoe/gate.py")
    deliver(company, [("bob", PLATE_1, "carol", 6)], batch="bobs", script="/home/bob/secret gate.py")
    before = everything(company, run)
    deliver(
        company,
        [
            ("bob", HIDDEN, "dan", 7),
            ("carol", HIDDEN, "dan", 7),
            ("eve", HIDDEN, "dan", 8),
            ("mallory", HIDDEN, "dan", 8),
        ],
        batch="hidden",
        script="/home/bob/secret layoffs.py",
    )
    assert everything(company, run) == before
    with pytest.raises(RestrictionError):
        similar_to(asking(company, "zoe"), deliver(company, [("bob", HIDDEN, "dan", 9)], batch="again"), 10)


def test_an_owner_may_let_files_be_found_and_still_no_name_is_told(company: Binding) -> None:
    deliver(company, [("bob", HIDDEN, "dan", 7), ("eve", HIDDEN, "dan", 7)], batch="hidden")
    assert ask(company, "layoffs") == []
    open_up("dan")
    assert [found.login for found in ask(company, "layoffs")] == ["dan"]  # the readers did not say that they are open
    open_up("bob")
    open_up("eve")
    dan, bob, eve = sorted(ask(company, "layoffs"), key=lambda found: ["dan", "bob", "eve"].index(found.login))
    assert dan.reason == "owns 1 file named like this that you cannot see"
    assert bob.reason == eve.reason == "read 1 file named like this, last on 11 May 2026"
    told = json.dumps([asdict(found) for found in ask(company, "layoffs ITX csv")])
    assert "layoffs" not in told
    closed = {"person_id": person("eve"), "chosen_at": MONDAY + timedelta(days=1), "ask_choice": "closed"}
    PersonAskChoice.insert1(closed)
    assert [found.login for found in ask(company, "layoffs") if found.login == "eve"] == []
    open_up_again = {"person_id": person("dan"), "chosen_at": MONDAY + timedelta(days=1), "ask_choice": "known"}
    PersonAskChoice.insert1(open_up_again)
    assert ask(company, "layoffs") == []  # the latest choice holds


def test_a_company_may_choose_for_all_who_have_not(company: Binding) -> None:
    assert ask(company, "lung trial") == []
    CompanyAskChoice.insert1({"company_chosen_at": MONDAY, "ask_choice": "open"})
    assert {found.login for found in ask(company, "lung trial")} == {"dan", "bob"}
    CompanyAskChoice.insert1({"company_chosen_at": NOW + timedelta(days=1), "ask_choice": "closed"})
    assert {found.login for found in ask(company, "lung trial")} == {"dan", "bob"}  # not yet in force
    assert about_text(asking(company, "zoe", NOW + timedelta(days=2)), "lung trial", 10) == []


def test_who_left_or_chose_not_to_be_named_is_not(company: Binding) -> None:
    deliver(company, [("eve", PLATE_1, "carol", 6), ("eve", "/eve/notes.csv", "eve", 6)], batch="eve")
    deliver(company, [("dan", "/eve/notes.csv", "eve", 7)], batch="dan")
    deliver(company, [("dan", PLATE_1, "carol", 7), ("zoe", "/eve/notes.csv", "eve", 7)], batch="zoe")
    assert {found.login for found in of_item(company, PLATE_1)} == {"carol", "bob", "eve", "dan"}
    dismiss("eve", date(2026, 6, 1))
    assert {found.login for found in of_item(company, PLATE_1)} == {"carol", "bob", "dan"}
    day_before = about_item(asking(company, "zoe", NOW - timedelta(days=1)), Item(path_id(PLATE_1), known=True), 10)
    assert "eve" in {found.login for found in day_before}
    open_up("carol", "closed")
    found = {suggestion.login: suggestion for suggestion in of_item(company, PLATE_1)}
    assert set(found) == {"bob", "dan"}
    assert found["bob"].route == ""  # through Carol only, who does not want to be named
    with pytest.raises(RestrictionError, match="Nobody here"):
        find_colleague(asking(company, "zoe"), "carol")


def test_whoever_is_asked_often_comes_later_and_who_answers_earlier(company: Binding) -> None:
    deliver(company, [("eve", PLATE_1, "carol", 6), ("dan", PLATE_1, "carol", 6)], batch="both")
    deliver(company, [("zoe", f"/own/{n}.csv", "zoe", 6) for n in range(6)], batch="own")

    def order() -> list[str]:
        return [found.login for found in of_item(company, PLATE_1) if found.login in ("dan", "eve")]

    assert order() == ["dan", "eve"]  # alike, so by name
    zoe, bob = asking(company, "zoe"), asking(company, "bob")
    record_ask(bob, find_colleague(bob, "dan"))
    assert order() == ["eve", "dan"]
    assert willingness(zoe, ["zoe", person("dan")])[person("dan")] == pytest.approx(1 / 1.2)
    record_outcome(bob, find_colleague(bob, "dan"), "answered")
    assert willingness(zoe, [person("dan")])[person("dan")] == pytest.approx((0.5 + 2 / 3) / 1.2)
    later = asking(company, "zoe", NOW + timedelta(days=31))
    assert willingness(later, [person("dan")])[person("dan")] == pytest.approx(0.5 + 2 / 3)
    with pytest.raises(RestrictionError, match="not asked Dan"):
        record_outcome(bob, find_colleague(bob, "dan"), "silent")
    with pytest.raises(RestrictionError, match="That is you"):
        record_ask(zoe, find_colleague(zoe, "zoe"))
    assert len(Ask()) == len(AskOutcome()) == 1


def test_an_owner_comes_first_however_often_asked(company: Binding) -> None:
    deliver(company, [("zoe", f"/own/{n}.csv", "zoe", 6) for n in range(200)], batch="own")
    for n in range(40):
        moment = NOW - timedelta(hours=n)
        people = {"asker_id": person("bob"), "asked_id": person("carol"), "asked_at": moment}
        Ask.insert1({"ask_id": f"{n:032x}", **people})
    carol, bob = of_item(company, PLATE_1)
    assert (carol.login, bob.login) == ("carol", "bob")
    assert carol.score < bob.score


def test_what_a_file_is_called_now_is_told_to_whoever_may_see_it_now(company: Binding) -> None:
    secret = {"file_id": path_id(PLATE_1), "named_on": date(2026, 5, 20), "name_id": "a" * 32}
    from schemas.catalogue import FileName

    FileName.insert1(secret | {"file_name": "fired.csv", "file_path": "/flow/fired.csv"})
    assert ask(company, "fired") == []  # Zoe read it on 4 May, when it was called otherwise
    granted = {"file_id": path_id(PLATE_1), "grantee_id": person("zoe"), "granted_since": MONDAY}
    Permission.insert1({**granted, "grantee": "zoe", "grantee_kind": "account", "permission_level": "read"})
    assert ask(company, "fired")[0].reason == "owns fired.csv"
    PermissionEnded.insert1({**granted, "ended_at": MONDAY + timedelta(days=1)})
    assert ask(company, "fired") == []


def test_a_grant_that_ran_out_shows_nothing_even_if_no_sync_has_noted_it(company: Binding) -> None:
    granted = {"file_id": path_id(TRIAL), "grantee_id": person("zoe"), "granted_since": MONDAY}
    Permission.insert1({**granted, "grantee": "zoe", "grantee_kind": "account", "permission_level": "read"})
    assert [one.name for one in ask(company, "lung")] == ["Dan", "Bob"]

    def expires(told: int, at: datetime) -> None:
        moment = MONDAY + timedelta(minutes=told)
        PermissionExpiry.insert1({**granted, "expiry_told_at": moment, "expires_at": at})

    expires(1, NOW)
    assert ask(company, "lung") == []
    expires(2, NOW + timedelta(seconds=1))  # prolonged
    assert len(ask(company, "lung")) == 2
    expires(3, NOW - timedelta(days=1))
    assert ask(company, "lung") == []


def test_people_who_use_the_same_files(company: Binding) -> None:
    deliver(company, [("eve", PLATE_1, "carol", 6), ("dan", PLATE_2, "carol", 6)], batch="others")
    zoe = asking(company, "zoe")
    found = {one.name: one for one in collaborators_of(zoe, find_colleague(zoe, "zoe"), 10, False)}
    # Six people use what Zoe uses: zoe, bob, carol, robot, eve plate 1; zoe, bob, carol, dan plate 2.
    first, second = math.log(6 / 5), math.log(6 / 4)
    contacts = 1 / 5  # Carol is in contact with zoe, bob, robot, eve and dan
    assert found["Bob"].score == pytest.approx(first + second + 2 * contacts, abs=1e-6)  # of the same department
    assert found["Carol Ito"].score == pytest.approx(first + second, abs=1e-6)
    assert found["Eve"].score == pytest.approx(first + contacts, abs=1e-6)
    assert found["Dan"].score == pytest.approx(second + contacts, abs=1e-6)
    assert set(found) == {"Bob", "Carol Ito", "Eve", "Dan"}
    assert found["Bob"].reason == "uses 2 files too: plate_2.csv, plate_1.csv; 1 contact in common"
    assert [one.in_contact for one in found.values()] == [name == "Carol Ito" for name in found]
    new = collaborators_of(zoe, find_colleague(zoe, "zoe"), 10, True)
    assert [one.name for one in new] == ["Bob", "Dan", "Eve"]


def test_analyses_of_the_same_files(company: Binding) -> None:
    git = "https://git.example.org/acme/gates.git"
    own = [("zoe", PLATE_1, "carol", 6), ("zoe", PLATE_2, "carol", 6)]
    run = deliver(company, own, batch="own", script="/home/zoe/gate.py", repository=git)
    for day in (7, 8):
        deliver(company, [("bob", PLATE_2, "carol", day)], batch=f"b{day}", script="/b/gate.py", repository=git)
    both = [("eve", PLATE_1, "carol", 9), ("eve", PLATE_2, "carol", 9)]
    deliver(company, both, batch="eves", script="/home/eve/private.py")
    found = similar_to(asking(company, "zoe"), run, 10)
    # Runs that read one of the two: the first delivery, zoe's, bob's two, eve's; of five, three read plate 1.
    plate_1, plate_2 = math.log(5 / 3), math.log(5 / 5)
    assert [(one.name, one.script) for one in found] == [("Bob", "gate.py"), ("Eve", ""), ("Zoe", "")]
    assert [one.score for one in found] == pytest.approx([1 + plate_2, plate_1 + plate_2, plate_1 + plate_2], abs=1e-6)
    assert found[0].reason == "read 1 of the 2 files that it read (plate_2.csv), on 12 May 2026; the same script"
    assert found[1].reason == "read 2 of the 2 files that it read (plate_1.csv, plate_2.csv), on 13 May 2026"
    open_up("eve")
    assert [one.script for one in similar_to(asking(company, "zoe"), run, 2)] == ["gate.py", "private.py"]


@pytest.fixture
def command(company: Binding, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.setenv("DATA_PLATFORM_REALM", REALM)

    def run(login: str, *arguments: str) -> str:
        monkeypatch.setenv("DATA_PLATFORM_ACCOUNT", login)
        settings.cache_clear()
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


def test_the_commands(command: Callable[..., str]) -> None:
    text = command("zoe", "who", "plate ITX_47213")
    assert text.startswith(
        "1. Carol Ito, Flow cytometry (carol)\n   owns plate_1.csv, plate_2.csv\n   directly: Carol Ito"
    )
    told = json.loads(command("zoe", "who", "file:///flow/ITX_47213/plate_1.csv", "--json"))
    assert [found["login"] for found in told] == ["carol", "bob"]  # gone from this machine, and read before
    assert command("dan", "who", "file:///flow/ITX_47213/plate_1.csv") == "Nobody is known for that.\n"
    assert "not in contact yet" in command("zoe", "collaborators")
    assert json.loads(command("zoe", "collaborators", "bob", "--json"))[0]["name"] == "Zoe"
    assert command("zoe", "asked", "carol").startswith("Noted.")
    assert command("zoe", "asked", "carol", "--outcome", "redirected") == "Noted.\n"
    assert command("bob", "findable") == "known\n"
    assert command("bob", "findable", "closed") == command("bob", "findable") == "closed\n"
    assert "Bob" not in command("zoe", "who", "plate")
    failed = CliRunner().invoke(main, ["collaborators", "bob"])
    assert failed.exit_code == 1


def test_choices_are_dated(company: Binding) -> None:
    choose(asking(company, "bob", NOW), "closed")
    assert chosen(asking(company, "bob", NOW - timedelta(seconds=1))) == "known"
    assert chosen(asking(company, "bob", NOW)) == "closed"
    with pytest.raises(RestrictionError, match="no choice"):
        choose(asking(company, "bob", NOW), "sometimes")
    with pytest.raises(RestrictionError, match="does not know you"):
        choose(asking(company, "stranger", datetime(2026, 6, 1)), "open")
