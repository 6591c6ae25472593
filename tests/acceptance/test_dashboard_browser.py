"""The dashboard in a real browser, on a catalogue that real reads have made: nothing in it is run or fetched."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browsers import CHROMIUM, FLAGS, HOW_TO_INSTALL, PATIENCE, until_it_listens
from colleagues import REALM, Colleagues
from trials import with_a_trial

from dashboard.catalogue import catalogue
from dashboard.queries import files as queries
from data_platform.serve import ADDRESS
from schemas.binding import Binding
from schemas.identity import account_id
from schemas.notes import FileTag, Note
from schemas.people import Account, Person

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # a browser, on a busy machine
on_one_database = pytest.mark.parametrize("backend", ["postgresql"])  # the queries are tested on each
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
    yield with_a_trial(tmp_path / "shares", monkeypatch)
    catalogue.clear()


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
    said = {"tag": IN_TABLES[2], "note": f"{IN_TABLES[0]} {IN_TABLES[1]}"}
    of, now = {"file_id": listed["file_id"][0]}, datetime(2026, 1, 1)
    FileTag.insert1({**of, "tag": said["tag"], "tagged_at": now, "tagged_by": account_id(REALM, "mallory0")})
    noted = {"note_id": "0" * 32, "noted_by": account_id(REALM, "mallory0"), "noted_as": "owner", "noted_at": now}
    Note.insert1({**of, **noted, "note_text": said["note"]})
    page.goto(f"{address}/file?id={of['file_id']}")
    for text in said.values():
        page.get_by_test_id("stMain").get_by_text(re.compile(loosely(text))).first.wait_for()
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
