"""The conversation about duplicates through the tables and a real mail server, up to the answer."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from subprocess import run

import pytest
from conversing import (
    KEY,
    PLATES,
    catalogue,
    copies,
    file_of,
    hire,
    link_in,
    login,
    person_id,
    settings_of,
    write_to,
)
from deliveries import read
from servers.mail import MailServer, mail_server
from servers.sessions import another_binding

from data_platform.errors import AnswerRefused, LinkRefused, MailUnavailable, SettingsError
from data_platform.settings import QuestionSettings
from populate.conversation.answering import answer, question_of
from populate.conversation.asking import Round, ask_due
from populate.conversation.links import Link, token_of
from populate.conversation.questions import (
    Question,
    QuestionCopy,
    QuestionMail,
    QuestionMailRefused,
    QuestionMailSent,
    question_id,
)
from populate.work.lease import Lease
from schemas.asking import CompanyAskChoice, PersonAskChoice
from schemas.binding import Binding
from schemas.conversation import Answer
from schemas.people import Account, Departure

NOW = datetime(2026, 6, 1, 9)
DAY = timedelta(days=1)


@pytest.fixture
def post() -> Iterator[MailServer]:
    with mail_server() as running:
        yield running


def recipients(post: MailServer) -> list[str]:
    return [recipient for recipient, _ in post.received]


def states(done: Round) -> list[tuple[str, int, str]]:
    return [(mail.address, mail.round, mail.state) for mail in done.mails]


def rows() -> tuple[int, ...]:
    tables = (Question, QuestionCopy, QuestionMail, QuestionMailSent, QuestionMailRefused, Answer)
    return tuple(len(table()) for table in tables)


def test_each_owner_of_copies_is_asked_once_and_answers(binding: Binding, post: MailServer) -> None:
    hire("brendan", "amy")
    hire("colin", department="Biology")
    copies(binding, "brendan", "amy", "colin")
    settings = settings_of(post)
    planned = ask_due(binding, settings, dry_run=True, now=NOW)
    assert states(planned) == [(mail.address, 1, "planned") for mail in planned.mails]
    assert {mail.address for mail in planned.mails} == {login("amy"), login("colin")}
    assert rows() == (0, 0, 0, 0, 0, 0)
    assert recipients(post) == []

    assert len(ask_due(binding, settings, limit=1, now=NOW).mails) == 1
    assert len(ask_due(binding, settings, now=NOW).mails) == 1
    again = ask_due(binding, settings, now=NOW)
    assert (again.mails, again.left_out, again.unknown) == ([], {"asked before": 2}, 0)
    assert sorted(recipients(post)) == [login("amy"), login("colin")]
    assert rows() == (2, 2, 2, 2, 0, 0)

    mail = dict(post.received)[login("amy")]
    token = link_in(mail)
    question = question_of(binding, settings, token, now=NOW)
    assert question.mine == ("/shares/amy/plates.csv",)
    assert question.others == ("Brendan, Chemistry: the original, as far as can be told", "Colin, Biology: a copy")
    assert (question.person, question.saving, question.answered) == ("Amy", len(PLATES), "")
    assert len(Answer()) == 0  # looking is no answer

    assert answer(binding, settings, token, "withdraw", now=NOW).person == "Amy"
    assert answer(binding, settings, token, "keep", now=NOW + DAY).answer == "keep"
    assert question_of(binding, settings, token, now=NOW).answered == "keep"
    assert [row["answer"] for row in Answer().to_dicts(order_by="answered_at")] == ["withdraw", "keep"]
    later = ask_due(binding, settings, now=NOW + 8 * DAY)
    assert states(later) == [(login("colin"), 2, "sent")]
    assert later.left_out == {"answered": 1}


def test_a_link_is_for_one_person_and_one_question(binding: Binding, post: MailServer) -> None:
    hire("brendan", "amy", "colin")
    copies(binding, "brendan", "amy", "colin")
    settings = settings_of(post)
    ask_due(binding, settings, now=NOW)
    token = link_in(dict(post.received)[login("amy")])
    sha256 = Question().to_dicts()[0]["sha256"]
    mixed = Link(question_id(person_id("colin"), sha256), person_id("amy"), NOW + DAY)
    absent = Link("0" * 32, person_id("amy"), NOW + DAY)
    for wrong in (
        token_of(mixed, KEY.encode()),
        token_of(absent, KEY.encode()),
        token_of(mixed, b"a key of somebody who forges links"),
        token[:-2] + "AA",
        "",
    ):
        for act in (
            lambda t: question_of(binding, settings, t, now=NOW),
            lambda t: answer(binding, settings, t, "keep", now=NOW),
        ):
            with pytest.raises(LinkRefused, match=r"\."):
                act(wrong)
    with pytest.raises(LinkRefused, match="good until"):
        answer(binding, settings, token, "keep", now=NOW + 30 * DAY)
    with pytest.raises(AnswerRefused, match="withdraw"):
        answer(binding, settings, token, "delete all", now=NOW)
    with pytest.raises(LinkRefused, match="somebody else"):
        question_of(binding, settings, token, viewer=login("colin"), now=NOW)
    assert question_of(binding, settings, token, viewer=login("Amy"), now=NOW).person == "Amy"
    assert len(Answer()) == 0


def test_who_must_not_be_asked_is_not(binding: Binding, post: MailServer) -> None:
    hire("brendan", "amy", "left", "moved", "elsewhere")
    hire("robot", kind="service")
    hire("visitor", kind="guest")
    Departure.insert1({"person_id": person_id("left"), "departed_on": NOW.date()})
    write_to("moved", "old@example.org")
    write_to("moved", "new@example.org", NOW.date())
    write_to("moved", "future@example.org", NOW.date() + DAY)
    write_to("elsewhere", "elsewhere@other.example")
    copies(
        binding, "brendan", "amy", "left", "moved", "elsewhere", "robot", "visitor", "unknown", "stranger@other.example"
    )
    settings = settings_of(post)
    done = ask_due(binding, settings, now=NOW)
    assert sorted(recipients(post)) == [login("amy"), login("elsewhere"), "new@example.org", login("unknown")]
    assert done.left_out == {"has left": 1, "service account": 1, "guest": 1, "no mail address": 1}

    answer(binding, settings, link_in(dict(post.received)[login("amy")]), "never", now=NOW)
    copies(binding, "brendan", "amy", data=b"other plates", name="other.csv")
    done = ask_due(binding, settings, now=NOW + 2 * DAY)
    assert done.mails == []
    assert done.left_out["does not want to be asked"] == 1


def test_nobody_is_asked_twice_about_the_same_bytes(binding: Binding, post: MailServer) -> None:
    hire("brendan", "amy")
    copies(binding, "brendan", "amy")
    settings = settings_of(post, reminder_days=())
    ask_due(binding, settings, now=NOW)
    catalogue(binding, [read(file_of("amy", "again.csv"), "reader@example.org", PLATES, day=9)], "again")
    for days in (1, 100, 300):
        assert ask_due(binding, settings, now=NOW + days * DAY).mails == []
    assert recipients(post) == [login("amy")]


def merge(person: str, into: str) -> None:
    """Mend whose login it is: both are one person."""
    Account.update1({"account_id": person_id(person), "person_id": person_id(into)})


def test_what_somebody_was_asked_goes_with_their_login(binding: Binding, post: MailServer) -> None:
    hire("brendan", "amy", "amy.new")
    copies(binding, "brendan", "amy")
    settings = settings_of(post)
    ask_due(binding, settings, now=NOW)
    merge("amy", into="amy.new")
    for days in (0, 8, 40):
        done = ask_due(binding, settings, now=NOW + days * DAY)
        assert (done.mails, done.left_out) == ([], {"asked before": 1})
    copies(binding, "brendan", "amy", data=b"other plates", name="other.csv")
    assert states(ask_due(binding, settings, now=NOW + 2 * DAY)) == [(login("amy.new"), 1, "sent")]

    first, second = (link_in(mail) for _, mail in post.received)  # the old link is good for who she is now
    assert question_of(binding, settings, first, viewer=login("amy.new"), now=NOW).mine == ("/shares/amy/plates.csv",)
    with pytest.raises(LinkRefused, match="somebody else"):
        question_of(binding, settings, first, viewer=login("brendan"), now=NOW)
    answer(binding, settings, first, "never", viewer=login("amy"), now=NOW + 3 * DAY)
    copies(binding, "brendan", "amy", "amy.new", data=b"yet other plates", name="third.csv")
    done = ask_due(binding, settings, now=NOW + 20 * DAY)
    assert (done.mails, done.left_out) == ([], {"does not want to be asked": 3})
    answer(binding, settings, first, "keep", now=NOW + 21 * DAY)  # she changed her mind
    answer(binding, settings, second, "keep", now=NOW + 21 * DAY)
    assert states(ask_due(binding, settings, now=NOW + 21 * DAY)) == [(login("amy.new"), 1, "sent")]


def test_a_question_ends_with_the_copy(binding: Binding, post: MailServer) -> None:
    hire("brendan", "amy")
    copies(binding, "brendan", "amy")
    settings = settings_of(post)
    ask_due(binding, settings, now=NOW)
    gone = read(file_of("amy"), error=FileNotFoundError("gone"), day=30) | {"outcome": "SourceNotFound"}
    catalogue(binding, [gone], "gone")
    assert ask_due(binding, settings, now=NOW + 8 * DAY).mails == []
    token = link_in(post.received[0][1])  # who answers late sees that there is no other now
    assert question_of(binding, settings, token, now=NOW + 8 * DAY).others == ()


def test_what_the_server_refuses_is_tried_again_and_not_for_ever(binding: Binding, post: MailServer) -> None:
    hire("brendan", "amy", "colin")
    copies(binding, "brendan", "amy", "colin")
    post.refuse = {login("amy"): "550 no such user", login("colin"): "451 try later"}
    settings = settings_of(post)
    done = ask_due(binding, settings, now=NOW)
    assert sorted(states(done)) == [(login("amy"), 1, "refused for good"), (login("colin"), 1, "refused")]
    assert done.stopped == ""
    post.refuse = {}
    assert ask_due(binding, settings, now=NOW).left_out == {"mail refused": 1, "asked before": 1}
    assert states(ask_due(binding, settings, now=NOW + DAY)) == [(login("colin"), 1, "sent")]
    assert [row["refusal"].split(": ")[1][:3] for row in QuestionMailRefused().to_dicts()].count("550") == 1
    assert ask_due(binding, settings, now=NOW + 8 * DAY).unknown == 0


def test_a_mail_that_may_have_gone_out_is_never_sent_again(binding: Binding, post: MailServer) -> None:
    hire("brendan", "amy", "colin")
    copies(binding, "brendan", "amy", "colin")
    settings = settings_of(post)
    post.hang_up = True
    done = ask_due(binding, settings, now=NOW)
    assert [mail.state for mail in done.mails] == ["unknown"]
    assert "not sent again" in done.stopped
    assert done.unknown == 1
    post.hang_up = False
    done = ask_due(binding, settings, now=NOW)
    assert [mail.state for mail in done.mails] == ["sent"]
    assert (done.unknown, len(set(recipients(post))), len(post.received)) == (1, 2, 2)


def test_a_server_that_is_gone_stops_the_run_and_loses_nothing(binding: Binding, post: MailServer) -> None:
    hire("brendan", "amy", "colin")
    copies(binding, "brendan", "amy", "colin")
    settings = settings_of(post)
    with pytest.raises(MailUnavailable):
        ask_due(binding, settings_of(MailServer(port=1)), now=NOW)
    assert rows() == (0, 0, 0, 0, 0, 0)
    post.vanish = True
    done = ask_due(binding, settings, now=NOW)
    assert ([mail.state for mail in done.mails], bool(done.stopped)) == (["refused"], True)
    post.vanish = False
    ask_due(binding, settings, now=NOW)
    ask_due(binding, settings, now=NOW + DAY)
    assert sorted(recipients(post)) == [login("amy"), login("colin")]


KILLED = """
import os, sys
from datetime import datetime
from conversing import settings_of
from servers.mail import MailServer
import populate.conversation.asking as asking
from populate.mail import Mailer
from populate.pipeline import bind_all

send = Mailer.send
def and_die(self, mail):
    if sys.argv[2] == "before":
        os.kill(os.getpid(), 9)
    send(self, mail)
    os.kill(os.getpid(), 9)
Mailer.send = and_die
settings = settings_of(MailServer(port=int(sys.argv[1])))
asking.ask_due(bind_all(settings), settings, now=datetime(2026, 6, 1, 9))
"""


@pytest.mark.parametrize(
    ("backend", "moment", "sent"), [("postgresql", "before", 0), ("postgresql", "after", 1), ("mysql", "after", 1)]
)
def test_killed_between_row_and_mail_it_is_sent_at_most_once(
    binding: Binding, post: MailServer, moment: str, sent: int
) -> None:
    hire("brendan", "amy")
    copies(binding, "brendan", "amy")
    died = run(
        [sys.executable, "-c", KILLED, str(post.port), moment],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert died.returncode == -9, died.stderr
    assert len(post.received) == sent
    settings = settings_of(post)
    deadline = time.monotonic() + 120
    while (done := ask_due(binding, settings, now=NOW + timedelta(hours=1))).stopped:
        assert time.monotonic() < deadline, "the server does not notice that the process is gone"
    assert (done.mails, done.unknown, len(post.received)) == ([], 1, sent)
    done = ask_due(binding, settings, now=NOW + 8 * DAY)  # the reminder is another mail
    assert states(done) == [(login("amy"), 2, "sent")]


def test_two_do_not_ask_at_once(binding: Binding, post: MailServer) -> None:
    hire("brendan", "amy")
    copies(binding, "brendan", "amy")
    settings = settings_of(post)
    with another_binding(binding) as other, Lease(other, "ask").held() as held:
        assert held
        done = ask_due(binding, settings, now=NOW)
        assert (done.mails, done.stopped) == ([], "Another process is asking at the moment.")


def test_without_mail_server_or_key_it_says_what_to_set(binding: Binding) -> None:
    settings = settings_of()
    assert ask_due(binding, settings, now=NOW) == Round()
    hire("brendan", "amy")
    copies(binding, "brendan", "amy")
    with pytest.raises(SettingsError, match=r"mail\.host"):
        ask_due(binding, settings, now=NOW)
    with pytest.raises(SettingsError, match=r"questions\.key"):
        ask_due(binding, settings_of(key=""), now=NOW)
    assert len(ask_due(binding, settings, dry_run=True).mails) == 1
    assert rows() == (0, 0, 0, 0, 0, 0)


def test_teams_opens_a_chat_with_the_owner_of_the_original(binding: Binding, post: MailServer) -> None:
    hire("brendan", "amy")
    copies(binding, "brendan", "amy")
    ask_due(binding, settings_of(post, teams=True), now=NOW)
    body = post.received[0][1].get_body(("plain",))
    assert body is not None
    assert "https://teams.microsoft.com/l/chat/0/0?users=brendan%40example.org&message=" in body.get_content()


def test_nobody_is_sent_to_their_own_machine(binding: Binding, post: MailServer) -> None:
    hire("brendan", "amy")
    copies(binding, "brendan", "amy")
    told = settings_of(post)
    unset = told.model_copy(update={"questions": QuestionSettings(key=told.questions.key, min_bytes=1)})
    elsewhere = settings_of(MailServer(host="mail.example.org"), url="http://localhost:8501")
    for settings in (unset, elsewhere):
        with pytest.raises(SettingsError, match=r"own machine\. Set questions\.url"):
            ask_due(binding, settings, now=NOW)
    assert rows() == (0, 0, 0, 0, 0, 0)
    assert len(ask_due(binding, unset, dry_run=True, now=NOW).mails) == 1
    assert len(ask_due(binding, settings_of(post, url="http://127.0.0.1:8501"), now=NOW).mails) == 1


def chats(post: MailServer) -> set[str]:
    """Return who is offered a chat with the owner of the original, by the mails so far."""
    bodies = [(to, mail.get_body(("plain",))) for to, mail in post.received]
    return {to for to, body in bodies if body is not None and "teams.microsoft.com" in body.get_content()}


def test_nobody_is_pointed_to_who_has_left_or_does_not_want_it(binding: Binding, post: MailServer) -> None:
    hire("brendan", "left", "closed", "amy", "colin", "dora")
    for number, (owner, copyist) in enumerate((("brendan", "amy"), ("left", "colin"), ("closed", "dora"))):
        copies(binding, owner, copyist, data=PLATES * (number + 2), name=f"{number}.csv")
    Departure.insert1({"person_id": person_id("left"), "departed_on": NOW.date()})
    for chosen_at, choice in ((NOW - 2 * DAY, "open"), (NOW - DAY, "closed"), (NOW + DAY, "open")):
        PersonAskChoice.insert1({"person_id": person_id("closed"), "chosen_at": chosen_at, "ask_choice": choice})
    settings = settings_of(post, teams=True)
    ask_due(binding, settings, now=NOW)
    assert sorted(recipients(post)) == [login("amy"), login("colin"), login("dora")]
    assert chats(post) == {login("amy")}
    mail = dict(post.received)[login("dora")]
    for part in ("plain", "html"):
        body = mail.get_body((part,))
        assert body is not None
        assert "somebody in Chemistry: the original" in body.get_content()
        assert "closed" not in body.get_content().casefold()
    shown = question_of(binding, settings, link_in(mail), now=NOW)
    assert shown.others == ("somebody in Chemistry: the original, as far as can be told",)


def test_nobody_is_named_where_the_company_says_so(binding: Binding, post: MailServer) -> None:
    hire("brendan", "amy", "colin")
    CompanyAskChoice.insert1({"company_chosen_at": NOW - 9 * DAY, "ask_choice": "open"})
    CompanyAskChoice.insert1({"company_chosen_at": NOW - DAY, "ask_choice": "closed"})
    PersonAskChoice.insert1({"person_id": person_id("colin"), "chosen_at": NOW - 2 * DAY, "ask_choice": "known"})
    copies(binding, "brendan", "amy", "colin")
    settings = settings_of(post, teams=True)
    ask_due(binding, settings, now=NOW)
    assert chats(post) == set()
    shown = question_of(binding, settings, link_in(dict(post.received)[login("amy")]), now=NOW)
    assert shown.others == (
        "somebody in Chemistry: the original, as far as can be told",
        "Colin, Chemistry: a copy",
    )


def test_no_secret_is_kept(binding: Binding, post: MailServer) -> None:
    hire("brendan", "amy")
    copies(binding, "brendan", "amy")
    settings = settings_of(post)
    ask_due(binding, settings, now=datetime.now(UTC).replace(tzinfo=None))
    token = link_in(post.received[0][1])
    answer(binding, settings, token, "keep")
    for table in (Question, QuestionCopy, QuestionMail, QuestionMailSent, Answer):
        text = repr(table().to_dicts())
        assert text != "[]"
        assert KEY not in text
        assert token[:20] not in text
