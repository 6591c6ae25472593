"""Adoption through the tables: reads, logs, choices and answers in, figures of a snapshot out."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from small_company import MONDAY, NOW, REALM, asking, deliver, hire, path_id, person

from data_platform import face
from data_platform.cli import main
from data_platform.settings import settings
from populate.adoption.publish import PublishedAdoption, history, published_adoption
from populate.adoption.survey import QUARTER, choose_survey, due, note_asked, subscribe, subscribers, unsubscribe
from populate.adoption.tables import Adoption
from populate.backup.tables import Backup, BackupFailure, ContentStore
from populate.backup.verification import Damage, DamageMended, Verification
from populate.conversation.questions import Question
from populate.duplicates.tables import DuplicateSet
from populate.ingest import BackupBatch, BackupMember
from populate.snapshot import Snapshot, take_snapshot
from populate.who.asker import find_colleague
from populate.who.asks import record_ask, record_outcome
from schemas.asking import CompanyAskChoice
from schemas.binding import Binding
from schemas.catalogue import Blob
from schemas.conversation import Answer
from schemas.identity import identity
from schemas.sharing import Access, SourceLog, SourceRead
from schemas.survey import HoursSaved

DAY = date(2026, 5, 31)
TEAM = ("ada", "ben", "cem", "dee", "eli")


@pytest.fixture
def company(binding: Binding) -> Binding:
    """Two departments of five and a robot; eleven reads in May and one in March."""
    for number, login in enumerate((*TEAM, *(f"{name}2" for name in TEAM))):
        hire(login, "Screening" if number < 5 else "Clinical")
    hire("robot", "Screening", kind="service")
    deliver(binding, [("ada", "/c/old.csv", "ada2", -60)], batch="march", data="old")
    reads = [(login, "/c/trial.csv", "ada2", 1) for login in TEAM]
    reads += [(f"{login}2", "/c/trial.csv", "ada2", 2) for login in TEAM]
    reads += [("ada", "/s/plate.csv", "ada", 3), ("robot", "/s/plate.csv", "ada", 3)]
    deliver(binding, reads, batch="may")
    return binding


def figures(number: int) -> dict[str, Any]:
    Adoption.populate({"snapshot_no": number})
    row: dict[str, Any] = (Adoption() & {"snapshot_no": number}).fetch1()
    return row


def test_reads_of_the_window_and_what_is_held(company: Binding) -> None:
    found = figures(take_snapshot(company, DAY))
    expected = {
        "window_days": 30, "people_count": 10, "reader_count": 10, "producer_count": 1, "read_count": 11,
        "service_read_count": 1, "foreign_read_count": 9, "cross_read_count": 5, "automatic_entries": 13,
        "manual_entries": 0, "file_count": 3, "bytes_logical": 300, "bytes_distinct": 300, "content_count": 3,
        "content_backed_up": 0, "audit_read_count": None, "captured_read_count": None, "ask_count": 0,
        "survey_count": 0, "hours_saved": None,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected
    clinical, screening = (Adoption.Department() & {"snapshot_no": 1}).to_dicts(order_by="department")
    names = ("people", "readers", "producers", "read_count", "cross_received", "cross_given", "audit_read_count")
    assert [clinical[name] for name in names] == [5, 5, 1, 5, 0, 5, None]
    assert [screening[name] for name in names] == [5, 5, 0, 6, 5, 0, None]
    past = figures(take_snapshot(company, date(2026, 3, 31)))
    assert (past["read_count"], past["automatic_entries"], past["file_count"]) == (1, 1, 1)


def test_reads_of_people_of_no_known_department_are_not_what_remains(company: Binding) -> None:
    deliver(company, [("guest", "/c/trial.csv", "ada2", 4)] * 3, batch="guest")
    figures(take_snapshot(company, DAY))
    nobody = (Adoption.Department() & {"department": ""}).fetch1()
    names = ("people", "readers", "read_count", "cross_received", "cross_given")
    assert [nobody[name] for name in names] == [0, 1, 3, 0, 0]
    shown = published_adoption(1)
    assert (shown.departments, shown.hidden) == ([], 2)  # with either, the other one and the guest would be told
    assert shown.organisation["read_count"] == 14


def test_copies_backups_and_files_that_are_gone(company: Binding) -> None:
    # The same bytes under three names, one of which has other bytes by the time it is read last.
    copies = [("ada", f"/copies/{name}.csv", "ada", day) for name, day in (("a", 5), ("b", 6), ("c", 7))]
    deliver(company, copies, batch="copies", alike=True)
    deliver(company, [("ada", "/copies/c.csv", "ada", 8)], batch="changed", data="new")
    number = take_snapshot(company, DAY)
    found = figures(number)
    assert found["bytes_logical"] - found["bytes_distinct"] == 100  # a and b
    assert (found["file_count"], found["content_count"]) == (6, 5)
    DuplicateSet.populate({"snapshot_no": number})
    told = (DuplicateSet() & {"snapshot_no": number}).fetch1()
    assert told["bytes_logical"] - told["bytes_distinct"] == 100

    now = datetime(2026, 6, 1)
    batches = BackupBatch.to_dicts(order_by="batch_id")
    for row in batches:
        Backup.insert1({**row, "backed_up_at": now}, allow_direct_insert=True)
    member = BackupMember.to_dicts(order_by="file_id", limit=1)[0]
    BackupFailure.insert1({**member, "failure_permanent": True, "failure": "SourceNotFound", "failure_message": ""})
    again = figures(take_snapshot(company, DAY))
    contents = {row["sha256"] for row in Access.to_dicts() if row["sha256"]}
    assert again["content_backed_up"] == again["content_count"] - 1 == len(contents) - 1

    gone = (Access() & {"file_id": path_id("/copies/b.csv")}).fetch1()
    gone |= {"event_id": "f" * 32, "outcome": "SourceNotFound", "accessed_at": MONDAY + timedelta(days=9)}
    Access.insert1(gone | {"sha256": "", "version_id": "", "access_size": -1})
    later = figures(take_snapshot(company, DAY))
    assert later["bytes_logical"] == later["bytes_distinct"]
    assert later["file_count"] == 5


def test_contents_count_as_proven_that_were_read_back_and_not_found_damaged_since(company: Binding) -> None:
    store = {"store_id": identity("store", "folder:/srv"), "store_name": "folder:/srv"}
    ContentStore.insert1(store)
    first, second, third = sorted(Blob.to_arrays("sha256").tolist())

    def proof(number: int) -> tuple[int, int]:
        figures(number)
        days, proven = (Adoption.Proof() & {"snapshot_no": number}).fetch1("proof_days", "content_proven")
        return int(days), int(proven)

    def read_back(sha256: str, day: date) -> None:
        Verification.insert1({"sha256": sha256, "store_id": store["store_id"], "verified_on": day})

    read_back(first, DAY)
    read_back(second, DAY - timedelta(days=29))
    read_back(third, DAY - timedelta(days=30))
    assert proof(take_snapshot(company, DAY, now=NOW)) == (30, 2)
    damaged = {"sha256": first, "store_id": store["store_id"], "found_at": NOW - timedelta(days=1)}
    Damage.insert1(damaged | {"damage": "missing", "damage_detail": ""})
    assert proof(take_snapshot(company, DAY, now=NOW)) == (30, 1)
    DamageMended.insert1(damaged | {"mended_at": NOW - timedelta(hours=20), "mended_how": "fetched again"})
    third_time = take_snapshot(company, DAY, now=NOW)
    assert proof(third_time) == (30, 2)
    assert published_adoption(third_time).organisation["content_proven"] == 2
    read_back(third, NOW.date())  # on the day itself: that of the next one on
    (Adoption() & {"snapshot_no": third_time}).delete(prompt=False)
    assert proof(third_time) == (30, 2)
    assert published_adoption(1).organisation["content_count"] == 3


def log(name: str, *reads: tuple[str, str, int]) -> None:
    """Take in a part of a source's own log, of reads by login, path and day."""
    part = identity("log part", name)
    SourceLog.insert1({"source_log_id": part, "log_source": "microsoft365/lab", "log_taken_at": NOW})
    names = ("account_id", "file_id", "source_read_on")
    for login, path, day in reads:
        values = (person(login), path_id(path), (MONDAY + timedelta(days=day)).date())
        SourceRead.insert1({"source_log_id": part, **dict(zip(names, values, strict=True)), "source_read_count": 2})


def test_how_much_of_what_a_log_tells_is_noted_down_here(company: Binding) -> None:
    log("first", *((login, "/c/trial.csv", 1) for login in TEAM[:4]))  # all of them read it that day
    log("again", ("ada", "/c/trial.csv", 1))  # the same day
    log("rest", ("ada", "/c/trial.csv", 20), ("robot", "/c/trial.csv", 22), ("ada", "/c/trial.csv", -40))
    found = figures(take_snapshot(company, DAY))
    assert (found["audit_read_count"], found["captured_read_count"]) == (5, 4)  # no robot, nothing before the window
    shown = published_adoption(1)
    assert shown.organisation["coverage"] == pytest.approx(0.8)
    assert {row["department"]: row["coverage"] for row in shown.departments} == {"Screening": 0.8, "Clinical": None}
    log("late", ("ben", "/c/trial.csv", 20))
    (Adoption() & {"snapshot_no": 1}).delete(prompt=False)
    assert figures(1) == found
    assert figures(take_snapshot(company, DAY))["audit_read_count"] == 6


def test_what_people_tell(company: Binding) -> None:
    CompanyAskChoice.insert1({"company_chosen_at": MONDAY, "ask_choice": "open"})
    ada = asking(company, "ada", datetime(2026, 5, 20))
    for login in ("ben", "cem"):
        record_ask(ada, find_colleague(ada, login))
    record_outcome(ada, find_colleague(ada, "ben"), "redirected")
    for number, login in enumerate(TEAM):
        HoursSaved.insert1({"person_id": person(login), "answered_at": datetime(2026, 4, 1), "hours_saved": 9.0})
        answer = {"person_id": person(login), "answered_at": datetime(2026, 5, 2), "hours_saved": number / 2}
        HoursSaved.insert1(answer)
    found = figures(take_snapshot(company, DAY))
    assert (found["ask_count"], found["answered_ask_count"], found["manual_entries"]) == (2, 1, 14)
    assert (found["survey_count"], found["hours_saved"], found["hours_saved_low"]) == (5, 1.0, None)
    assert published_adoption(1).organisation["hours_saved"] == 1.0
    assert published_adoption(1).organisation["asked_count"] == 0
    blob = Blob.to_arrays("sha256")
    for number, raised in enumerate((datetime(2026, 5, 20), datetime(2026, 5, 21), datetime(2026, 3, 1))):
        key = {"question_id": f"{number:032x}", "person_id": person("ada"), "sha256": blob[number]}
        Question.insert1({**key, "raised_at": raised})
    for number in (0, 0, 2):
        answer_id = identity("answer", str(len(Answer())))
        told = {"answer": "keep", "answered_at": datetime(2026, 5, 22), "answered_by": "link"}
        Answer.insert1({"answer_id": answer_id, "question_id": f"{number:032x}", **told})
    asked = figures(take_snapshot(company, DAY))
    assert (asked["question_count"], asked["answered_question_count"], asked["manual_entries"]) == (2, 1, 17)
    HoursSaved().delete_quick()
    assert figures(take_snapshot(company, DAY))["survey_count"] == 0
    assert published_adoption(3) == published_adoption(1)  # of the same day, so the first one stands for it


def test_what_a_snapshot_says_never_changes(company: Binding) -> None:
    number = take_snapshot(company, DAY)
    once = figures(number)
    deliver(company, [("ben", "/c/trial.csv", "ada2", 4)], batch="late")
    HoursSaved.insert1({"person_id": person("ada"), "answered_at": datetime(2036, 5, 2), "hours_saved": 1.0})
    (Adoption() & {"snapshot_no": number}).delete(prompt=False)
    assert figures(number) == once
    assert figures(take_snapshot(company, DAY))["read_count"] == once["read_count"] + 1


def test_months_and_what_is_hidden(company: Binding) -> None:
    hire("zed", "Legal")
    deliver(company, [("zed", "/c/trial.csv", "ada2", 4)], batch="legal")
    for day in (date(2026, 3, 15), date(2026, 3, 31), DAY):
        face.snapshot(day)
    assert len(Snapshot()) == len(Adoption()) == 3
    shown = history(3)
    assert [month.day for month in shown] == [date(2026, 3, 31), DAY]
    assert [row["department"] for row in shown[-1].departments] == ["Screening"]  # Clinical hides Legal
    assert shown[-1].hidden == 2
    assert shown[0].organisation["read_count"] is None  # one reader in March
    assert shown[0].departments == shown[0].sources == []
    with pytest.raises(LookupError, match="no adoption figures"):
        published_adoption(9)


def test_who_joins_five_readers_cannot_be_subtracted_out(company: Binding) -> None:
    for number in range(6):
        hire(f"legal{number}", "Legal")
    others = [f"legal{number}" for number in range(6)]
    deliver(company, [(login, "/c/trial.csv", "ada2", 5) for login in others], batch="legal")
    deliver(company, [(login, "/s/plate.csv", "ada", 5) for login in others], batch="plates")
    first = take_snapshot(company, date(2026, 5, 20), now=datetime(2026, 5, 21))
    figures(first)
    before = published_adoption(first)
    assert {row["department"] for row in before.departments} == {"Screening", "Clinical", "Legal"}
    for number, login in enumerate(TEAM):
        told = {"person_id": person(login), "answered_at": datetime(2026, 5, 2), "hours_saved": float(number)}
        HoursSaved.insert1(told)

    hire("zoe", "Screening")
    deliver(company, [("zoe", "/c/trial.csv", "ada2", 17)] * 7, batch="zoe")
    deliver(company, [(login, "/c/trial.csv", "ada2", 17) for login in others], batch="again")
    daily = take_snapshot(company, date(2026, 5, 21), now=datetime(2026, 5, 22))
    assert figures(daily)["reader_count"] == 17
    # Of Screening, Clinical and the sum of both only her figures are new, and nobody else began to read.
    assert published_adoption(daily) == published_adoption(first)
    alone = take_snapshot(company, DAY, now=datetime(2026, 5, 31, 12))
    figures(alone)
    assert published_adoption(alone) == published_adoption(first)
    new = [f"legal{number}" for number in range(6, 12)]
    for login in new:
        hire(login, "Legal")
    deliver(company, [(login, "/c/trial.csv", "ada2", 25) for login in new], batch="more")
    month = take_snapshot(company, DAY, now=NOW)
    figures(month)
    after = published_adoption(month)
    assert after.snapshot_no == month
    assert after.organisation["read_count"] == 23 + 7 + 6 + 6
    assert {row["department"] for row in after.departments} == {"Clinical"}  # Screening is hidden among Legal
    rests = [remaining(each, {"Clinical"}) for each in (before, after)]
    assert rests[1] - rests[0] == 7 + 6 + 6
    assert after.organisation["hours_saved"] == 2.0  # five answers are new
    assert [month.day for month in history(month)] == [DAY]
    HoursSaved.insert1({"person_id": person("zoe"), "answered_at": datetime(2026, 6, 9), "hours_saved": 40.0})
    deliver(company, [(login, "/s/plate.csv", "ada", 50) for login in (*TEAM, *others, "zoe")], batch="june")
    june = take_snapshot(company, date(2026, 6, 30), now=datetime(2026, 7, 1))
    assert figures(june)["survey_count"] == 6
    now = published_adoption(june)
    assert (now.snapshot_no, now.organisation["survey_count"], now.organisation["survey_day"]) == (june, 5, DAY)
    assert {row["department"]: row["readers"] for row in now.departments} == {"Screening": 6, "Clinical": 0, "Legal": 6}


def remaining(shown: PublishedAdoption, told: set[str]) -> int:
    """Return how many reads are left if those of these departments are taken from the total."""
    reads = {row["department"]: int(row["read_count"]) for row in shown.departments}
    return int(shown.organisation["read_count"]) - sum(reads[name] for name in told)


def test_one_number_a_week(company: Binding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_PLATFORM_REALM", REALM)
    monkeypatch.setenv("DATA_PLATFORM_ACCOUNT", "ada")
    settings.cache_clear()
    assert CliRunner().invoke(main, ["saved", "--", "-0.5"]).stdout == "Noted. Thank you.\n"
    assert HoursSaved.to_arrays("person_id", "hours_saved")[1].tolist() == [-0.5]
    for hours in ("nan", "inf", "200"):
        assert CliRunner().invoke(main, ["saved", hours]).exit_code == 1
    assert not due(asking(company, "ada", datetime.now(UTC).replace(tzinfo=None)))  # it was told just now, unasked
    ben, later = asking(company, "ben"), asking(company, "ben", NOW + QUARTER)
    assert due(ben)
    note_asked(ben)
    assert not due(asking(company, "ben", NOW + timedelta(days=80)))
    assert due(later)
    choose_survey(later, False)
    assert not due(asking(company, "ben", NOW + 9 * QUARTER))
    choose_survey(asking(company, "ben", NOW + 10 * QUARTER), True)
    assert due(asking(company, "ben", NOW + 11 * QUARTER))
    ada = asking(company, "ada")
    subscribe(ada)
    subscribe(ada)
    assert subscribers() == [person("ada")]
    unsubscribe(ada)
    assert subscribers() == []
    subscribe(asking(company, "ada", NOW + timedelta(days=1)))
    assert subscribers() == [person("ada")]
