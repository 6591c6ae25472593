"""The dashboard on a catalogue that real reads have made: without a browser, and in a real one."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from colleagues import REALM, Colleagues
from streamlit.testing.v1 import AppTest

import dashboard
from dashboard.catalogue import catalogue
from dashboard.queries import files as queries
from data_platform.errors import SettingsError
from data_platform.serve import ADDRESS, serve
from schemas.binding import Binding, unbind
from schemas.identity import account_id
from schemas.people import Account, Person
from schemas.survey import HoursSaved, SurveyAsked, SurveyChoice

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # a browser, on a busy machine
PAGE = Path(dashboard.__file__).with_name("pages") / "files.py"
PATIENCE = 120  # seconds, on a very busy machine
on_one_database = pytest.mark.parametrize("backend", ["postgresql"])  # the queries are tested on each
CHROMIUM = "/usr/bin/chromium"
HOW_TO_INSTALL = "apt-get install chromium fonts-liberation"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PAYLOADS = (
    "<img src=x onerror=alert(1)>.csv",
    "<script>alert(1)</script>.csv",
    "![x](https:∕∕evil.example∕p.png).csv",
    "[click](javascript:alert(1)).csv",
    ":red[danger] :material∕warning: $x^2$.csv",
    "=HYPERLINK(1).csv",
    "'\"><svg onload=alert(1)>.csv",
    "{{constructor.constructor('alert(1)')()}}.csv",
)
IN_TABLES = (
    "<img src=https://evil.example/a onerror=alert(2)>",
    "![x](https://evil.example/p.png) **bold** `code` :material/warning:",
    "<iframe src=https://evil.example></iframe>",
)


@pytest.fixture
def backend() -> str:
    """What the pages ask of the database is tested on both; here a page shows it on both."""
    return "postgresql"


@pytest.fixture
def people(binding: Binding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Colleagues]:
    """A trial in two versions that Aiko reads and Chen has copied, all backed up."""
    catalogue.clear()
    people = Colleagues(tmp_path / "shares", monkeypatch)
    people.put("maria/trial.csv", b"first")
    people.put("chen/copy.csv", b"first")
    people.read("aiko", "maria/trial.csv")
    people.read("aiko", "chen/copy.csv")
    people.put("maria/trial.csv", b"second")
    people.read("aiko", "maria/trial.csv")
    people.work()
    yield people
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
def test_pages_show_each_what_they_may_know(people: Colleagues, binding: Binding) -> None:
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


@pytest.fixture
def address(people: Colleagues) -> Iterator[str]:
    """Serve the dashboard as its user does, and stop it as its user does."""
    served = subprocess.Popen(
        [sys.executable, "-m", "data_platform", "dashboard"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert served.stdout is not None
        yield next(line.split()[1] for line in served.stdout if line.startswith("Dashboard: "))
        served.send_signal(signal.SIGINT)
        _, complaints = served.communicate(timeout=PATIENCE)
    finally:
        served.kill()
        served.wait()
    assert served.returncode == 0, complaints
    assert "Traceback" not in complaints


@pytest.fixture
def page(address: str) -> Iterator[Page]:
    """Open the dashboard in a real browser; nothing may be fetched from elsewhere, said, or go wrong."""
    if not Path(CHROMIUM).exists():
        message = f"{CHROMIUM} not found; {HOW_TO_INSTALL}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=PATIENCE * 1000)
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(PATIENCE * 1000)
        asked: list[str] = []
        wrong: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("dialog", lambda dialog: (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        until_it_listens(address)
        page.goto(f"{address}/files")
        yield page
        browser.close()
    assert wrong == []
    elsewhere = [
        url for url in asked if not url.startswith((address, address.replace("http:", "ws:"), "data:", "blob:"))
    ]
    assert asked
    assert elsewhere == []


def loosely(name: str) -> str:
    """Return a pattern of a text in which there may be characters without width."""
    return "\N{WORD JOINER}?".join(re.escape(sign) for sign in name)


def until_it_listens(address: str) -> None:
    for _ in range(PATIENCE * 5):
        try:
            urllib.request.urlopen(f"{address}/_stcore/health", timeout=PATIENCE).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    pytest.fail(f"nothing listens at {address}")


def select_first_row(page: Page) -> None:
    """Click the box of the first row; again if the table was not ready to notice."""
    from playwright.sync_api import TimeoutError as Late

    table = page.get_by_test_id("stDataFrame").first
    table.get_by_test_id("data-grid-canvas").wait_for()
    details = page.get_by_role("heading", name="Selected file")
    for _ in range(10):
        box = table.bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + 17, box["y"] + 35 + 17)
        with suppress(Late):
            details.wait_for(timeout=20_000)
            return
    pytest.fail("selecting a row shows no details")


@pytest.mark.browser
@on_one_database
def test_a_row_opens_its_details_in_a_browser(page: Page) -> None:
    page.get_by_role("heading", name="All files", exact=True).wait_for()
    page.get_by_text("2 files, page 1 of 1").wait_for()
    select_first_row(page)
    assert "file=" in page.url
    for tab in ("Versions", "Readers", "Copies"):
        page.get_by_role("tab", name=tab).click()
        page.locator('[role="tabpanel"]:visible').get_by_test_id("stDataFrame").wait_for()


@pytest.mark.browser
@on_one_database
def test_nothing_in_a_name_is_run_or_fetched(people: Colleagues, binding: Binding, page: Page, address: str) -> None:
    for number, text in enumerate(IN_TABLES):
        login = f"mallory{number}"
        identity = account_id(REALM, login)
        Person.insert1({"person_id": identity, "full_name": text, "person_kind": "person"})
        Account.insert1({"account_id": identity, "realm": REALM, "login": login, "person_id": identity})
    for number, name in enumerate(PAYLOADS):
        owner = f"mallory{number % len(IN_TABLES)}"
        people.put(f"{owner}/{name}", name.encode())
        for reader in ("mallory0", "aiko"):
            people.read(reader, f"{owner}/{name}")
    people.work()
    listed = queries.files(binding)
    assert len(listed) == 2 + len(PAYLOADS)
    for name, identity in zip(listed["file_name"], listed["file_id"], strict=True):
        page.goto(f"{address}/files?file={identity}")
        page.get_by_text(f"{len(listed)} files, page 1 of 1").wait_for()
        page.get_by_test_id("stText").get_by_text(name).wait_for()  # as written, so nothing was made of it
        page.get_by_role("tab", name="Readers").click()
        page.locator('[role="tabpanel"]:visible').get_by_test_id("stDataFrame").wait_for()
    page.goto(f"{address}/?q=csv")  # as Aiko
    for name in listed["file_name"]:
        page.get_by_test_id("stPageLink-NavLink").filter(has_text=re.compile(loosely(name))).first.wait_for()
    page.goto(f"{address}/file?id={listed['file_id'][0]}&part=ask")
    page.locator("h1").filter(has_text=re.compile(loosely(listed["file_name"][0]))).wait_for()
    page.goto(f"{address}/person?id={account_id(REALM, 'mallory1')}")
    page.locator("h1").filter(has_text=re.compile(loosely(IN_TABLES[1]))).wait_for()
    assert page.locator("img[src*=evil], iframe[src*=evil], svg[onload], a[href^=javascript]").count() == 0


@on_one_database
def test_only_this_machine_is_listened_to(address: str) -> None:
    until_it_listens(address)
    port = int(address.rsplit(":", 1)[1])
    others = {entry[4][0] for entry in socket.getaddrinfo(socket.gethostname(), port, socket.AF_INET)} - {ADDRESS}
    for other in others or {"127.0.0.2"}:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((str(other), port), timeout=PATIENCE).close()
