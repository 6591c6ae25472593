"""The whole conversation about a duplicate: reads, a mail over real SMTP, a click in the dashboard, and the ledger."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from colleagues import REALM, Colleagues
from servers.mail import MailServer, mail_server
from streamlit.testing.v1 import AppTest

import dashboard
from dashboard.catalogue import catalogue
from data_platform.serve import ANSWERS_ONLY
from data_platform.settings import settings
from populate.conversation.asking import ask_due
from populate.conversation.questions import QuestionMail, QuestionMailSent
from schemas.binding import Binding
from schemas.conversation import Answer
from schemas.identity import account_id
from schemas.people import Account, Department, Membership, Person

pytestmark = pytest.mark.timeout(900)  # several commands, each a new process
on_one_database = pytest.mark.parametrize("backend", ["postgresql"])  # the tables are tested on each
APP = Path(dashboard.__file__).parent / "served" / "app.py"
CHROMIUM = "/usr/bin/chromium"
PROGRAM = [sys.executable, "-m", "data_platform"]
PATIENCE = 240
TEAM = ("maria", "aiko", "chen", "elena", "lukas")
TRIAL = b"time,status\n306,1\n" * 50
BUTTONS = ["keep", "canonical", "withdraw", "never"]


@pytest.fixture
def post(monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    """A mail server, and settings that lead to it in this process and in those it starts."""
    with mail_server() as server:
        for name, value in {
            "MAIL__HOST": server.host,
            "MAIL__PORT": str(server.port),
            "MAIL__SECURITY": "none",
            "MAIL__SENDER": "catalogue@example.org",
            "MAIL__DOMAINS": '["example.org"]',
            "QUESTIONS__URL": "http://127.0.0.1:8501",  # said in so many words, and the mail stays here
            "QUESTIONS__MIN_BYTES": "1",
            "QUESTIONS__KEY": "signs the links of this test alone",
        }.items():
            monkeypatch.setenv(f"DATA_PLATFORM_{name}", value)
        settings.cache_clear()
        yield server
        catalogue.clear()
    settings.cache_clear()


def login(person: str) -> str:
    return f"{person}@example.org"


def hire() -> None:
    Department.insert1({"department": "Clinical"})
    for person in TEAM:
        key = account_id(REALM, login(person))
        Person.insert1({"person_id": key, "full_name": person.title(), "person_kind": "person"})
        Account.insert1({"account_id": key, "realm": REALM, "login": login(person), "person_id": key})
        Membership.insert1({"person_id": key, "member_since": date(2026, 1, 1), "department": "Clinical"})


def command(*arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [*PROGRAM, *arguments], capture_output=True, text=True, env=os.environ, timeout=PATIENCE, check=False
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else done.stderr


def command_json(*arguments: str) -> Any:
    return json.loads(command(*arguments, "--json"))


def token_in(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    found = re.search(r"http://\S+/\?\S+", body.get_content())
    assert found
    return parse_qs(urlsplit(found[0]).query)["token"][0]


def opened(token: str) -> AppTest:
    app = AppTest.from_file(str(APP), default_timeout=PATIENCE)
    app.query_params["token"] = token
    app.run()
    assert not app.exception, app.exception
    assert not app.error, [text.value for text in app.text]
    return app


def texts(app: AppTest) -> str:
    return "\n".join(text.value for text in app.text)


@on_one_database
def test_from_a_copy_to_the_bytes_saved(
    binding: Binding, post: MailServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hire()
    people = Colleagues(tmp_path / "shares", monkeypatch)
    people.put(f"{login('maria')}/trial.csv", TRIAL)
    people.read(login("aiko"), f"{login('maria')}/trial.csv")
    hostile = "<img src=x onerror=alert(1)> trial.csv"
    copy = people.put(f"{login('chen')}/{hostile}", TRIAL)
    people.read(login("elena"), f"{login('chen')}/{hostile}")
    people.work()

    planned = command_json("ask", "--dry-run")
    assert [(mail["person"], mail["state"]) for mail in planned["mails"]] == [("Chen", "planned")]
    assert (len(post.received), len(QuestionMail())) == (0, 0)
    assert [mail["state"] for mail in command_json("ask")["mails"]] == ["sent"]
    ((recipient, mail),) = post.received
    assert recipient == login("chen")
    assert len(QuestionMailSent()) == 1
    html = mail.get_body(("html",))
    assert html is not None
    assert "<img" not in html.get_content()
    assert "&lt;img src=x onerror=alert(1)&gt; trial.csv" in html.get_content()
    assert f"{login('maria')}/trial.csv" not in html.get_content()  # not the path of others
    assert "Maria, Clinical: the original" in html.get_content()

    token = token_in(mail)
    app = opened(token)
    assert str(copy) in texts(app)
    assert "Maria, Clinical: the original" in texts(app)
    assert [button.key for button in app.button] == BUTTONS
    assert len(Answer()) == 0  # a scanner that opens the link answers nothing
    app.button(key="keep").click().run()
    app.button(key="withdraw").click().run()
    assert not app.exception
    assert "Noted" in app.success[0].value
    assert [row["answer"] for row in Answer().to_dicts(order_by="answered_at")] == ["keep", "withdraw"]
    assert "You have answered" in opened(token).info[0].value

    assert command_json("ledger") == {
        "entries": [], "hidden": 0, "copies": 0, "bytes_saved": 0, "bytes_promised": len(TRIAL),
    }  # fmt: skip
    copy.unlink()
    assert "Nobody is to be asked now." in command("ask")  # which looks for it at its source
    found = command_json("ledger")
    assert [(entry["department"], entry["bytes_saved"]) for entry in found["entries"]] == [("Clinical", len(TRIAL))]
    assert (found["bytes_saved"], found["bytes_promised"]) == (len(TRIAL), 0)
    assert len(post.received) == 1

    assert command("answer", f"http://127.0.0.1:8501/?token={token}", "keep").startswith("Noted")
    assert [row["answer"] for row in Answer().to_dicts(order_by="answered_at")] == ["keep", "withdraw", "keep"]
    assert command("ledger").startswith("Saved: 0 bytes.")  # no promise any more
    forged = token[:-1] + ("A" if token[-1] != "A" else "B")
    refused = command("answer", forged, "never", code=1)
    assert refused.startswith("Error: This link is not whole")
    assert forged not in refused
    assert len(Answer()) == 3


@on_one_database
def test_a_link_that_is_not_good_is_one_sentence(binding: Binding, post: MailServer) -> None:
    app = opened("forged")
    assert "cannot be used" in app.warning[0].value
    assert "not one of ours" in texts(app)
    assert not app.button
    assert "opened by the link in a mail" in opened("").info[0].value


@on_one_database
def test_the_page_of_questions_alone_shows_nothing_without_a_link(binding: Binding, post: MailServer) -> None:
    app = AppTest.from_file(str(APP.parents[1] / ANSWERS_ONLY), default_timeout=PATIENCE).run()
    assert "opened by the link in a mail" in app.info[0].value
    shown = (app.dataframe, app.metric, app.text_input, app.button)
    assert not any(shown)
    assert not (APP.parents[1] / ANSWERS_ONLY).with_name("pages").exists()  # Streamlit would open what is in it


@contextmanager
def served(*options: str) -> Iterator[str]:
    """Serve the dashboard as its user does, and yield its address once it answers."""
    process = subprocess.Popen(
        [*PROGRAM, "dashboard", *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ
    )
    try:
        assert process.stdout is not None
        address = next(line.split()[1] for line in process.stdout if line.startswith("Dashboard: "))
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=PATIENCE).close()
                break
            except OSError:
                assert time.monotonic() < deadline, f"nothing listens at {address}"
                time.sleep(0.2)
        yield address
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@pytest.mark.browser
@on_one_database
@pytest.mark.parametrize("options", [(), ("--answers-only",)], ids=["whole", "answers only"])
def test_opening_a_link_answers_nothing_and_a_click_does(
    binding: Binding, post: MailServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    if not Path(CHROMIUM).exists():
        message = f"{CHROMIUM} not found; apt-get install chromium fonts-liberation"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    from playwright.sync_api import sync_playwright

    hire()
    people = Colleagues(tmp_path / "shares", monkeypatch)
    for person in ("maria", "chen"):
        people.put(f"{login(person)}/trial.csv", TRIAL)
        people.read(login("aiko"), f"{login(person)}/trial.csv")
    people.catalogue_only()
    ask_due(binding, settings())
    ((_, mail),) = post.received
    with served(*options) as address, sync_playwright() as playwright:
        link = f"{address}/?token={token_in(mail)}"
        urllib.request.urlopen(link, timeout=PATIENCE).close()
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags, timeout=PATIENCE * 1000)
        page = browser.new_page()
        page.set_default_timeout(PATIENCE * 1000)
        page.goto(link)
        page.get_by_text("Maria, Clinical: the original").wait_for()
        button = page.get_by_role("button", name="I will remove my copy")
        button.wait_for()
        assert len(Answer()) == 0
        button.click()
        page.get_by_text("Noted, thank you").wait_for()
        assert [(row["answer"], row["answered_by"]) for row in Answer().to_dicts()] == [("withdraw", "link")]
        for path in ("", "files", "app", "answer") if options else ():
            page.goto(f"{address}/{path}")
            page.get_by_text("This page is opened by the link in a mail.").wait_for()
            assert page.get_by_text("trial.csv").count() == 0
            assert page.get_by_role("heading", name="Files", exact=True).count() == 0
        browser.close()
