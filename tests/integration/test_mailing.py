"""The mails that a scheduler sends by itself: questions and reports, over a real SMTP server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime

import pytest
from conversing import copies, hire, login, person_id, settings_of
from servers.mail import MailServer, mail_server

from populate import mailing
from populate.adoption.close import EVERYBODY
from populate.adoption.tables import Adoption
from populate.mailing import mail_due
from populate.silo import SiloMetric
from populate.snapshot import take_snapshot
from populate.work.scheduler import Keeper
from schemas.binding import Binding
from schemas.survey import ReportSubscription

NOW = datetime(2026, 6, 1, 9)


@pytest.fixture
def post() -> Iterator[MailServer]:
    with mail_server() as running:
        yield running


@pytest.fixture
def lab(binding: Binding, post: MailServer, monkeypatch: pytest.MonkeyPatch) -> Binding:
    """Two people with copies of one file, a third who subscribes to the report; a mail server is set."""
    hire("brendan", "amy", "carla")
    copies(binding, "brendan", "amy")
    told = settings_of(post)
    automatic = told.mail.model_copy(update={"automatic": True})
    monkeypatch.setattr(binding, "settings", told.model_copy(update={"mail": automatic}))
    ReportSubscription.insert1({"person_id": person_id("carla"), "subscribed_at": datetime(2026, 1, 2)})
    return binding


def recipients(post: MailServer) -> list[str]:
    return sorted(recipient for recipient, _ in post.received)


def test_what_is_due_is_sent_once(lab: Binding, post: MailServer) -> None:
    assert mail_due(lab, NOW) == 1  # there are no figures of May yet
    assert recipients(post) == [login("amy")]
    number = take_snapshot(lab, date(2026, 5, 31))
    for table in (SiloMetric, Adoption):
        table.populate({"snapshot_no": number})
    assert mail_due(lab, NOW) == 1
    assert recipients(post) == [login("amy"), login("carla")]
    assert mail_due(lab, NOW) == 0


def test_a_mail_server_that_is_away_holds_nothing_up(
    lab: Binding, post: MailServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    away = lab.settings.mail.model_copy(update={"port": 1})
    monkeypatch.setattr(lab, "settings", lab.settings.model_copy(update={"mail": away}))
    assert mail_due(lab, NOW) == 0
    assert "did not go out" in caplog.text


@pytest.mark.parametrize("automatic", [True, False])
def test_whoever_keeps_the_queues_sends_it_if_told_to(
    lab: Binding, post: MailServer, monkeypatch: pytest.MonkeyPatch, automatic: bool
) -> None:
    mail = lab.settings.mail.model_copy(update={"automatic": automatic})
    monkeypatch.setattr(lab, "settings", lab.settings.model_copy(update={"mail": mail}))
    Keeper(lab, snapshots=False).tend()
    assert recipients(post) == []
    Keeper(lab, snapshots=True).tend()
    assert recipients(post) == ([login("amy")] if automatic else [])


def test_the_month_before() -> None:
    assert mailing.month_before(date(2026, 1, 1)) == date(2025, 12, 1)
    assert mailing.month_before(date(2026, 3, 31)) == date(2026, 2, 1)


def test_a_month_without_a_report_is_said_once(
    lab: Binding, post: MailServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(mailing, "_said", set())
    numbers = [take_snapshot(lab, day, now=NOW) for day in (date(2026, 4, 30), date(2026, 5, 20), date(2026, 5, 31))]
    assert mail_due(lab, NOW) == 1  # the question; there are no figures of May yet
    for table in (SiloMetric, Adoption):
        table.populate()
    close = {"snapshot_no": numbers[2], "since_no": numbers[0], "close_kind": EVERYBODY, "close_name": ""}
    Adoption.Close.insert1(close, allow_direct_insert=True)
    assert "no report" not in caplog.text
    assert [mail_due(lab, NOW), mail_due(lab, NOW)] == [0, 0]
    assert caplog.text.count("There is no report of 2026-05") == 1
    assert "those of 2026-04-30 stand for them" in caplog.text
    assert recipients(post) == [login("amy")]
