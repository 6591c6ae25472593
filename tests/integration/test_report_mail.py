"""The monthly report from the tables: by command, and by mail over a real SMTP server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from servers.mail import MailServer, mail_server
from small_company import NOW, REALM, asking, deliver, dismiss, hire, person

from data_platform import face
from data_platform.cli import main
from data_platform.errors import MailUnavailable, ReportUnavailable
from data_platform.settings import MailSettings, settings
from populate import mailing as due_mails
from populate.adoption import mailing as report_mails
from populate.adoption.mailing import Mailing, mail_report
from populate.adoption.report import Report, report_of
from populate.adoption.survey import subscribe
from populate.adoption.tables import ReportMail, ReportMailRefused, ReportMailSent
from schemas.binding import Binding
from schemas.conversation import MailAddress

TEAM = ("ada", "ben", "cem", "dee", "eli")
MAY = date(2026, 5, 31)


@pytest.fixture
def company(binding: Binding, monkeypatch: pytest.MonkeyPatch) -> Binding:
    """A department of five who read in May, three of whom want the report."""
    monkeypatch.setenv("DATA_PLATFORM_REALM", REALM)
    monkeypatch.setenv("DATA_PLATFORM_ACCOUNT", "ada")
    settings.cache_clear()
    for login in TEAM:
        hire(login, "Screening")
    deliver(binding, [(login, "/c/trial.csv", "ada", 1) for login in TEAM], batch="may")
    face.snapshot(MAY)
    for login in TEAM[:3]:
        subscribe(asking(binding, login))
    for login in TEAM[:2]:
        told = {"address_since": date(2026, 1, 1), "mail_address": f"{login}@example.org"}
        MailAddress.insert1({"person_id": person(login), **told})
    return binding


@pytest.fixture
def post() -> Iterator[MailServer]:
    with mail_server() as running:
        yield running


def mailing(company: Binding, post: MailServer, now: datetime = NOW, **changes: Any) -> Mailing:
    values = {"host": post.host, "port": post.port, "security": "none", "sender": "catalogue@example.org"}
    return mail_report(company, MailSettings.model_validate({**values, **changes}), report_of(MAY), now)


def test_each_subscriber_gets_it_once(company: Binding, post: MailServer) -> None:
    assert mailing(company, post) == Mailing(2, 0, 0, 1)
    assert sorted(recipient for recipient, _ in post.received) == ["ada@example.org", "ben@example.org"]
    mail = post.received[0][1]
    assert mail["Subject"] == "How our data is shared: May 2026"
    plain = mail.get_body(("plain",))
    assert plain is not None
    assert "5 people read shared data 5 times" in plain.get_content()
    (attached,) = mail.iter_attachments()
    assert attached.get_filename() == "data-sharing-2026-05.pdf"
    assert attached.get_content().startswith(b"%PDF-")
    assert mailing(company, post) == Mailing(0, 0, 0, 1)
    dismiss("cem", date(2026, 6, 1))
    assert mailing(company, post) == Mailing(0, 0, 0, 0)
    assert len(ReportMailSent()) == len(post.received) == 2


def test_a_month_is_sent_once_it_is_over(company: Binding, post: MailServer) -> None:
    with pytest.raises(ReportUnavailable, match="2026-05 is not over"):
        mailing(company, post, datetime(2026, 5, 31, 23, 59))
    assert len(ReportMail()) == 0
    assert mailing(company, post, datetime(2026, 6, 1)).sent == 2


def test_what_another_process_sends_at_the_same_time_is_left_to_it(
    company: Binding, post: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow_pdf(report: Report) -> bytes:  # meanwhile another process begins to send it
        ReportMail.insert1(
            {"person_id": person("ada"), "report_month": "2026-05", "report_attempt": 1, "report_begun_at": NOW}
        )
        return b"%PDF-"

    monkeypatch.setattr(report_mails, "pdf_of", slow_pdf)
    assert mailing(company, post) == Mailing(1, 0, 0, 1)
    assert [recipient for recipient, _ in post.received] == ["ben@example.org"]


def test_what_may_have_gone_out_is_not_sent_again(company: Binding, post: MailServer) -> None:
    post.hang_up = True
    with pytest.raises(MailUnavailable):  # the first may have gone out; for the second nobody answers
        mailing(company, post)
    post.hang_up = False
    assert mailing(company, post) == Mailing(1, 0, 0, 1)
    assert mailing(company, post) == Mailing(0, 0, 0, 1)
    assert len(post.received) == 2
    assert (len(ReportMail()), len(ReportMailSent()), len(ReportMailRefused())) == (3, 1, 1)


def test_what_was_refused_is_tried_again_if_that_can_help(company: Binding, post: MailServer) -> None:
    post.refuse = {"ada@example.org": "550 no such user", "ben@example.org": "450 busy"}
    assert mailing(company, post) == Mailing(0, 2, 0, 1)
    post.refuse = {}
    assert mailing(company, post) == Mailing(1, 0, 0, 1)
    assert [recipient for recipient, _ in post.received] == ["ben@example.org"]


def test_the_commands(company: Binding, post: MailServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == code, done.output
        return done.stdout

    monkeypatch.chdir(tmp_path)
    assert run("report") == "data-sharing-2026-05.html\n"
    assert "Screening" in (tmp_path / "data-sharing-2026-05.html").read_text(encoding="utf-8")
    pdf = tmp_path / "may.pdf"
    assert run("report", "--month", "2026-05", "--to", str(pdf)) == f"{pdf}\n"
    assert pdf.read_bytes().startswith(b"%PDF-")
    run("report", "--month", "2026-04", code=1)
    for name, value in (
        ("HOST", post.host),
        ("PORT", post.port),
        ("SECURITY", "none"),
        ("SENDER", "c@example.org"),
    ):
        monkeypatch.setenv(f"DATA_PLATFORM_MAIL__{name}", str(value))
    settings.cache_clear()
    run("subscribe", "--end")
    monkeypatch.setattr(due_mails, "month_before", lambda today: date(2026, 4, 1))
    run("report", "--mail", code=1)  # there are figures of a newer month, yet this is the last that is over
    assert post.received == []
    monkeypatch.setattr(due_mails, "month_before", lambda today: date(2026, 5, 1))
    assert run("report", "--mail") == "1 sent, 0 refused, 0 may have gone out, 1 without an address.\n"
    assert [recipient for recipient, _ in post.received] == ["ben@example.org"]
    assert "will come" in run("subscribe")
