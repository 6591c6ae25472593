"""A browser that looks at a dashboard as several people, and what that costs the dashboard and its database."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import psutil

from schemas import cluster

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from servers import openid

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = "/usr/bin/chromium"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
PATIENCE = 300_000  # ms
LONG = 60_000  # ms, that something to click, or what comes of it, is waited for
COUNT_RUNS = """
window.runs = 0;
new MutationObserver(changes => {
  for (const change of changes)
    if (change.target.dataset.testScriptState === 'notRunning') window.runs += 1;
}).observe(document, {subtree: true, attributes: true, attributeFilter: ['data-test-script-state']});
"""
STILL = "document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'"
FIRST = "document.querySelector('[data-testid=stMain] h1')"


class Cost(NamedTuple):
    """What something took: milliseconds until the first content and until all is there, and of CPU."""

    first: float
    whole: float
    cpu: float


def medians(costs: list[Cost]) -> tuple[int, int, int]:
    """Return the medians of each."""
    first, whole, cpu = (round(median(one[place] for one in costs)) for place in range(3))
    return first, whole, cpu


@contextmanager
def looking_at(home: Path, realm: str, roles: Mapping[str, str]) -> Iterator[Looking]:
    """Serve the dashboard of a catalogue, and yield a browser that looks at it, for as long as the block runs.

    Parameters
    ----------
    roles
        Role -> login of somebody who has it; everybody is a scientist.
    """
    from playwright.sync_api import sync_playwright

    with (
        openid.openid_provider() as provider,
        _served(home, realm, roles, provider) as (address, process),
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=PATIENCE)
        yield Looking(browser, address, provider, process, home)
        browser.close()


@contextmanager
def _served(
    home: Path, realm: str, roles: Mapping[str, str], provider: openid.Provider
) -> Iterator[tuple[str, psutil.Process]]:
    """Serve the dashboard; yields its address and process."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    own = {
        "HOME": str(home),
        "REALM": realm,
        "DASHBOARD__OIDC_URL": f"{provider.address}/.well-known/openid-configuration",
        "DASHBOARD__CLIENT_ID": openid.CLIENT,
        "DASHBOARD__CLIENT_SECRET": openid.SECRET,
        "DASHBOARD__URL": address,
    }
    own |= {f"DASHBOARD__{role.upper()}S": json.dumps([login]) for role, login in roles.items()}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DATA_PLATFORM_")}
    environment |= {f"DATA_PLATFORM_{name}": value for name, value in own.items()}
    command = [sys.executable, "-m", "data_platform", "dashboard", "--port", str(port)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        _until_it_listens(address)
        yield address, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def _until_it_listens(address: str) -> None:
    """Wait for a server."""
    for _ in range(PATIENCE // 200):
        with suppress(OSError):
            urllib.request.urlopen(f"{address}/_stcore/health", timeout=60).close()
            return
        time.sleep(0.2)
    raise RuntimeError("The dashboard does not listen.")


class Looking:
    """A browser that looks at a dashboard, and what was wrong."""

    def __init__(
        self, browser: Browser, address: str, provider: openid.Provider, served_by: psutil.Process, home: Path
    ):
        self.browser, self.address, self.provider = browser, address, provider
        self._process, self._home = served_by, home
        self.complaints: list[str] = []

    def session(self, login: str) -> BrowserContext:
        """Sign somebody in, in a browser of their own."""
        context = self.browser.new_context(viewport={"width": 1280, "height": 860})
        context.add_init_script(COUNT_RUNS)
        page = self.page(context, login)
        self.provider.login = login
        page.goto(self.address)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("button", name="Sign out").wait_for()
        page.wait_for_function(STILL)
        page.close()
        return context

    def page(self, context: BrowserContext, whose: str) -> Page:
        """Return a new page whose complaints are noted down."""
        page = context.new_page()
        page.set_default_timeout(PATIENCE)

        def complain(what: str) -> None:
            self.complaints.append(f"{whose} {page.url.removeprefix(self.address)}: {what}")

        def asked(url: str) -> None:
            ours = (self.address, self.address.replace("http:", "ws:"), self.provider.address, "data:", "blob:")
            if not url.startswith(ours):
                complain(f"request to {url}")

        page.on("request", lambda request: asked(request.url))
        page.on("pageerror", lambda error: complain(f"error {error}"))
        page.on("console", lambda said: complain(f"console {said.text}") if said.type == "error" else None)
        return page

    def visit(self, page: Page, path: str) -> Cost:
        """Open an address, wait until all is there, and look whether it is a page as it should be."""
        page.set_default_timeout(PATIENCE)
        cpu, start = self.cpu(), time.perf_counter()
        page.goto(self.address + path, wait_until="commit")
        page.wait_for_function(FIRST)
        first = time.perf_counter() - start
        page.wait_for_function(f"window.runs > 0 && {STILL}")
        whole = time.perf_counter() - start
        for wrong in page.locator("[data-testid=stException]").all_inner_texts():
            self.complaints.append(f"{path}: {wrong[:300]}")
        for wrong in page.get_by_text("cannot be shown").all_inner_texts():
            self.complaints.append(f"{path}: {wrong[:300]}")
        return Cost(1000 * first, 1000 * whole, 1000 * (self.cpu() - cpu))

    def interact(self, page: Page, act: Callable[[Page], object]) -> Cost:
        """Do something, and wait until what comes of it is there."""
        from playwright.sync_api import TimeoutError

        page.set_default_timeout(LONG)
        before, cpu, start = page.evaluate("window.runs"), self.cpu(), time.perf_counter()
        try:
            act(page)
            page.wait_for_function(f"window.runs > {before} && {STILL}", timeout=LONG)
        except TimeoutError as late:
            self.complaints.append(f"{page.url.removeprefix(self.address)}: nothing came of it, {late.message[:100]}")
        taken = 1000 * (time.perf_counter() - start)
        return Cost(taken, taken, 1000 * (self.cpu() - cpu))

    def cpu(self) -> float:
        """Return the CPU seconds that dashboard and database have taken."""
        total = sum(self._process.cpu_times()[:2])
        for one in self._database():
            with suppress(psutil.Error):
                total += sum(one.cpu_times()[:2])
        return total

    def memory(self) -> float:
        """Return the memory of the dashboard, in MiB."""
        return float(self._process.memory_info().rss) / 2**20

    def _database(self) -> list[psutil.Process]:
        folder = cluster.data_folder(self._home)
        with suppress(psutil.Error, OSError):
            if folder is not None:
                server = psutil.Process(int((folder / "postmaster.pid").read_text().split()[0]))
                return [server, *server.children()]
        return []


def chosen(name: str) -> Callable[[Page], object]:
    """Return a click on a choice."""
    return lambda page: page.get_by_role("radio", name=name).or_(page.get_by_role("button", name=name)).first.click()


def typed(label: str, text: str) -> Callable[[Page], object]:
    """Return typing something and pressing Enter."""

    def act(page: Page) -> None:
        field = page.get_by_label(label).first
        field.fill(text)
        field.press("Enter")

    return act
