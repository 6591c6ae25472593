"""Who is asked, and when: the rules, without a database."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from data_platform.settings import QuestionSettings
from populate.conversation.plan import DAY, Candidate, Due, Known, Mail, candidates, next_mail, plan
from populate.conversation.questions import question_id
from populate.duplicates.live import Copy
from populate.duplicates.rows import Owner

NOW = datetime(2026, 11, 29, 12)
SETTINGS = QuestionSettings(min_bytes=1, mails_per_day=2, reminder_days=(7, 21))
SHA, OTHER = "1" * 64, "2" * 64


def copy(name: str, person: str, sha256: str = SHA, *, origin: bool = False, size: int = 10) -> Copy:
    owner = Owner(person, "acme", person, person, person.title(), "Chemistry") if person else Owner()
    return Copy(
        sha256, size, f"file {name}", f"version {name}", name, f"/{name}", "file/lab", owner, NOW, None, origin, "seen"
    )


def known(*mails: Mail, answered: str = "", silent: str = "", addresses: str = "amy bob cyd") -> Known:
    return Known(
        mails,
        frozenset(question_id(person, SHA) for person in answered.split()),
        dict.fromkeys(silent.split(), "has left"),
        {person: f"{person}@example.org" for person in addresses.split()},
    )


def mail(person: str, number: int = 1, days_ago: float = 0, state: str = "sent", attempt: int = 1) -> Mail:
    return Mail(question_id(person, SHA), person, number, attempt, NOW - timedelta(days=days_ago), state)


def asked(due: list[Due]) -> list[tuple[str, int, int]]:
    return [(one.candidate.person_id, one.round, one.attempt) for one in due]


COPIES = [copy("origin", "bob", origin=True), copy("a", "amy"), copy("b", "amy"), copy("c", "cyd"), copy("d", "")]


def test_owners_of_copies_are_asked_and_not_that_of_the_original() -> None:
    found = candidates(COPIES)
    assert [(one.person_id, [held.name for held in one.copies]) for one in found] == [
        ("amy", ["a", "b"]),
        ("cyd", ["c"]),
    ]
    assert [held.name for held in found[0].others] == ["origin", "c", "d"]
    assert found[0].saving == 20
    assert asked(plan(found, known(), SETTINGS, NOW).due) == [("amy", 1, 1), ("cyd", 1, 1)]


def test_the_owner_of_the_original_is_asked_about_further_copies_of_it() -> None:
    found = candidates([copy("origin", "bob", origin=True), copy("again", "bob")])
    assert [(one.person_id, [held.name for held in one.copies]) for one in found] == [("bob", ["again"])]
    assert [held.name for held in found[0].others] == ["origin"]


def test_the_largest_saving_comes_first_and_too_small_ones_never() -> None:
    small = [copy("x", "bob", OTHER, origin=True, size=9), copy("y", "cyd", OTHER, size=9)]
    settings = SETTINGS.model_copy(update={"min_bytes": 10})
    made = plan(candidates(small + COPIES), known(), settings, NOW)
    assert asked(made.due) == [("amy", 1, 1), ("cyd", 1, 1)]
    assert made.left_out == {"too small": 1}


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (known(answered="amy"), "answered"),
        (known(mail("amy"), answered="amy"), "answered"),
        (known(silent="amy"), "has left"),
        (known(addresses="cyd"), "no mail address"),
        (known(mail("amy", days_ago=6.9)), "asked before"),
        (known(mail("amy"), mail("amy", 2), mail("amy", 3, 400)), "asked often enough"),
        (known(mail("amy", state="refused for good")), "mail refused"),
    ],
)
def test_who_is_left_alone(facts: Known, reason: str) -> None:
    made = plan(candidates(COPIES), facts, SETTINGS, NOW)
    assert asked(made.due) == [("cyd", 1, 1)]
    assert made.left_out == {reason: 1}


def test_reminders_come_later_and_later_and_then_no_more() -> None:
    begun = NOW
    mails: list[Mail] = []
    sent = []
    for day in range(400):
        now = begun + day * DAY
        following = next_mail(mails, SETTINGS.reminder_days, now)
        if isinstance(following, tuple):
            sent.append((day, *following))
            mails.append(Mail("q", "amy", *following, now, "unknown" if day == 7 else "sent"))
    assert sent == [(0, 1, 1), (7, 2, 1), (28, 3, 1)]


def test_what_was_refused_is_tried_three_times() -> None:
    mails: list[Mail] = []
    for day in range(10):
        following = next_mail(mails, SETTINGS.reminder_days, NOW + day * DAY)
        if isinstance(following, tuple):
            mails.append(Mail("q", "amy", *following, NOW + day * DAY, "refused"))
    assert [(one.round, one.attempt) for one in mails] == [(1, 1), (1, 2), (1, 3)]


def test_nobody_gets_more_mail_a_day_than_is_allowed() -> None:
    found = [
        Candidate(question_id("amy", f"{n:064}"), "amy", "Amy", f"{n:064}", 10, (copy("a", "amy"),), ())
        for n in range(5)
    ]
    assert len(plan(found, known(), SETTINGS, NOW).due) == 2
    of_today = Mail("another question", "amy", 1, 1, NOW - timedelta(hours=23), "unknown")
    made = plan(found, known(of_today), SETTINGS, NOW)
    assert (len(made.due), made.left_out) == (1, {"enough mail for today": 4})
    refused = Mail("another question", "amy", 1, 1, NOW, "refused")
    yesterday = Mail("another question", "amy", 1, 1, NOW - DAY, "sent")
    assert len(plan(found, known(refused, yesterday), SETTINGS, NOW).due) == 2
