"""Whole tasks, as people do them at the dashboard in a real browser: one company, one server, one browser for all."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browsers import CHROMIUM, FLAGS, HOW_TO_INSTALL, PATIENCE, until_it_listens
from colleagues import REALM, Colleagues
from servers.mail import mail_server

from data_platform import face
from data_platform.settings import settings
from populate.conversation.asking import ask_due
from populate.silo import SiloMetric
from populate.snapshot import take_snapshot
from schemas.binding import Binding
from schemas.catalogue import FileName
from schemas.conversation import Answer
from schemas.entered import Entry
from schemas.identity import account_id, file_id, identity, version_id
from schemas.people import Account, Department, Membership, Person
from schemas.restrict import where
from schemas.sharing import Access, AccessBatch, AccessRun

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.timeout(900), pytest.mark.browser, pytest.mark.slow]
DEPARTMENTS = ("Biology", "Chemistry", "Physics", "Quality")
APART = {"Biology", "Chemistry"}
TEAM = 10  # people of a department
MONDAY = datetime(2026, 5, 4, 8)
OLD, NEW = b"dose,response\n1,2\n", b"dose,response\n1,2\n2,5\n"


@pytest.fixture
def backend() -> str:
    """What the pages ask of the database is tested on both."""
    return "postgresql"


def login(name: str) -> str:
    return f"{name}@example.org"


def hire(name: str, department: str) -> None:
    key = account_id(REALM, login(name))
    Person.insert1({"person_id": key, "full_name": name.title(), "person_kind": "person"})
    Account.insert1({"account_id": key, "realm": REALM, "login": login(name), "person_id": key})
    Membership.insert1({"person_id": key, "member_since": date(2025, 1, 1), "department": department})


def work_apart(binding: Binding) -> None:
    """Have four departments in which everybody reads what colleagues have, in two weeks, but two that share nothing."""
    Department.insert({"department": name} for name in DEPARTMENTS)
    for name in DEPARTMENTS:
        for number in range(TEAM):
            hire(f"{name.lower()}{number}", name)
    reads = [
        (f"{to.lower()}{number}", f"{of.lower()}{(number + step) % TEAM}", week)
        for to in DEPARTMENTS
        for of in DEPARTMENTS
        if {to, of} != APART
        for number in range(TEAM)
        for step in range(1, 4)
        for week in range(2)
    ]
    batch, run = identity("batch", "apart"), identity("run", "apart")
    empty = dict.fromkeys(("argv", "commit_id", "branch", "python_version", "package_version", "environment"), "")
    with binding.transaction():
        delivery = {"batch_id": batch, "delivered_at": MONDAY, "delivered_from": "lab"}
        AccessBatch.insert1({**delivery, "access_count": len(reads)})
        about = {"batch_id": batch, "execution_id": run, "started_at": MONDAY, "run_realm": REALM, "host": "lab"}
        where_of = {"run_login": login("biology0"), "entry_point": "fit.py", "repository": "", "dirty": False}
        AccessRun.insert1({**empty, **about, **where_of})
        Access.insert([access(batch, run, number, *read) for number, read in enumerate(reads)])


def access(batch: str, run: str, number: int, reader: str, owner: str, week: int) -> dict[str, object]:
    path = f"/elsewhere/{owner}/plates.csv"
    content = identity("bytes", path) * 2
    return {
        **{"event_id": identity("event", str(number)), "batch_id": batch, "execution_id": run, "sequence": number},
        **{"accessed_at": MONDAY + timedelta(weeks=week), "outcome": "ok", "known_by": "setting"},
        **{"account_realm": REALM, "account_login": login(reader), "account_id": account_id(REALM, login(reader))},
        **{"source_system": "nfs/lab", "source_kind": "file", "url": f"file://{path}", "item_id": path},
        **{"file_id": file_id("nfs/lab", path), "file_name": "plates.csv", "file_path": path},
        **{"owner_realm": REALM, "owner_login": login(owner), "revision": "1", "access_size": 100},
        **{"version_id": version_id("1", content), "sha256": content},
    }


@pytest.fixture
def company(binding: Binding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Binding]:
    """Aiko uses Maria's trial, made a result of it, has a copy of Chen's plates, and was asked about that."""
    work_apart(binding)
    for name in ("maria", "aiko", "chen"):
        hire(name, "Biology")
    people = Colleagues(tmp_path / "shares", monkeypatch)
    own = [login(name) for name in ("maria", "aiko", "chen")]
    people.put(f"{own[0]}/trial.csv", OLD)
    people.put(f"{own[2]}/plates.csv", b"plate,well\n1,A1\n" * 20)
    people.put(f"{own[1]}/plates of Chen.csv", b"plate,well\n1,A1\n" * 20)
    people.read(own[1], f"{own[0]}/trial.csv")
    people.read(own[0], f"{own[2]}/plates.csv")
    people.read(own[0], f"{own[1]}/plates of Chen.csv")
    people.put(f"{own[0]}/trial.csv", NEW)
    people.read(own[1], f"{own[0]}/trial.csv")
    face.log_output(people.put(f"{own[1]}/result.csv", b"slope\n3\n"))
    people.read(own[1], f"{own[1]}/result.csv")
    with mail_server() as server:
        for name, value in {
            "MAIL__HOST": server.host,
            "MAIL__PORT": str(server.port),
            "MAIL__SECURITY": "none",
            "MAIL__SENDER": "catalogue@example.org",
            "MAIL__DOMAINS": '["example.org"]',
            "QUESTIONS__URL": "http://127.0.0.1:8501",
            "QUESTIONS__MIN_BYTES": "1",
            "QUESTIONS__KEY": "signs the links of this test alone",
        }.items():
            monkeypatch.setenv(f"DATA_PLATFORM_{name}", value)
        people.account(own[1])
        people.work()
        take_snapshot(binding, (MONDAY + timedelta(days=28)).date())
        SiloMetric.populate()
        ask_due(binding, settings())
        yield binding
    settings.cache_clear()


@pytest.fixture
def page(company: Binding) -> Iterator[Page]:
    """A browser at the dashboard, which Aiko runs; nothing may go wrong on its console or be fetched from elsewhere."""
    if not Path(CHROMIUM).exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{CHROMIUM} not found; {HOW_TO_INSTALL}")
        pytest.skip(f"{CHROMIUM} not found; {HOW_TO_INSTALL}")
    from playwright.sync_api import sync_playwright

    served = subprocess.Popen(
        [sys.executable, "-m", "data_platform", "dashboard"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert served.stdout is not None
        address = next(line.split()[1] for line in served.stdout if line.startswith("Dashboard: "))
        until_it_listens(address)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=PATIENCE * 1000)
            page = browser.new_page(viewport={"width": 1400, "height": 1000}, base_url=address)
            page.set_default_timeout(PATIENCE * 1000)
            wrong: list[str] = []
            page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
            page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
            ours = (address, address.replace("http:", "ws:"), "data:", "blob:")
            page.on("request", lambda asked: None if asked.url.startswith(ours) else wrong.append(asked.url))
            yield page
            browser.close()
        served.send_signal(signal.SIGINT)
        _, complaints = served.communicate(timeout=PATIENCE)
    finally:
        served.kill()
        served.wait()
    assert wrong == []
    assert "Traceback" not in complaints


def until(known: Callable[[], object]) -> None:
    """Wait for what another process adds to the catalogue."""
    for _ in range(PATIENCE * 5):
        if known():
            return
        time.sleep(0.2)
    pytest.fail("it was not added")


def part(page: Page, name: str) -> None:
    page.get_by_test_id("stButtonGroup").get_by_text(name, exact=True).first.click()


def test_whole_tasks(company: Binding, page: Page, tmp_path: Path) -> None:
    find_the_newest_version_and_whom_to_ask(page)
    have_an_earlier_version_back(page, tmp_path)
    trace_a_result_to_its_sources(page)
    answer_a_question_about_a_copy(page)
    see_which_departments_are_silos_and_why(page)
    enter_a_row_of_the_lab_book(page)


def find_the_newest_version_and_whom_to_ask(page: Page) -> None:
    page.goto("/")
    page.get_by_label("What are you looking for?").fill("trial")
    page.get_by_label("What are you looking for?").press("Enter")
    page.get_by_test_id("stPageLink-NavLink").filter(has_text="trial").first.click()
    page.get_by_role("heading", name=re.compile("trial")).first.wait_for()
    part(page, "Whom to ask")
    page.get_by_test_id("stPageLink-NavLink").filter(has_text="Maria").first.wait_for()
    part(page, "Versions")
    # A table is drawn, and told to screen readers beside.
    page.locator("td", has_text=re.compile("no. 2 .*newest")).first.wait_for(state="attached")


def have_an_earlier_version_back(page: Page, tmp_path: Path) -> None:
    page.get_by_test_id("stSelectbox").filter(has_text="Version").first.get_by_role("combobox").click()
    page.get_by_role("option", name=re.compile("no. 1")).click()
    button = page.get_by_role("button", name=f"Download {len(OLD)} bytes")
    with page.expect_download() as download:
        button.click()
    download.value.save_as(tmp_path / "back.csv")
    assert (tmp_path / "back.csv").read_bytes() == OLD


def trace_a_result_to_its_sources(page: Page) -> None:
    (result,) = where(FileName, file_name="result.csv").to_arrays("file_id")
    page.goto(f"/file?id={result}")
    part(page, "Origin")
    drawing = page.get_by_alt_text(re.compile("Where it comes from: [3-9] steps"))
    drawing.wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="SVG").click()
    assert "trial.csv" in Path(download.value.path()).read_text(encoding="utf-8")


def answer_a_question_about_a_copy(page: Page) -> None:
    page.goto("/mine?part=questions")
    page.get_by_text("1 question to answer").wait_for()
    page.get_by_role("button", name="I will remove my copy").click()
    until(lambda: [row["answer"] for row in Answer().to_dicts()] == ["withdraw"])
    page.get_by_text("0 questions to answer, 1 answered").wait_for()


def see_which_departments_are_silos_and_why(page: Page) -> None:
    page.goto("/silos")
    page.get_by_text("2 potential silos").wait_for()
    page.get_by_text(re.compile("Biology → Chemistry: .+ ties")).wait_for()
    part(page, "Departments")
    page.get_by_test_id("stDataFrame").first.wait_for()


def enter_a_row_of_the_lab_book(page: Page) -> None:
    page.goto(f"/enter?table={Department.database}.department")
    page.get_by_label(re.compile("Department")).and_(page.get_by_role("textbox")).fill("Proteomics")
    page.get_by_role("button", name="Add").click()
    page.get_by_text("The row was added").wait_for()
    assert len(Entry()) == 1
    assert len(where(Department, department="Proteomics")) == 1
