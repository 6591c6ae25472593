"""Every page of the dashboard as every role, in a real browser, in the demo company at full size.

People sign in by OpenID Connect. Each page is opened by everybody, and all its parts by those whose page it is, and
looked through for complaints: exceptions, errors on the browser's console, requests to elsewhere. What it costs is
told by the clock and in CPU time of the dashboard and the database, which other work on the machine disturbs less.

Run as ``python -m benchmarks.dashboard [--small] [--home FOLDER] [--rounds N]``. It needs Chromium. `FOLDER` keeps
the company for another run. The last line is a JSON object:

``pages``, ``complaints``
    pages that were opened as each of the roles, and what was wrong with them
``first_content_ms``, ``interaction_ms``
    of the slowest page, and of the slowest interaction: median of the rounds
``page_cpu_ms``
    of the slowest page: median CPU time of dashboard and database
``memory_mib``
    of the dashboard with so many ``sessions`` open
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

import psutil

from benchmarks._bulk import Loader
from benchmarks._demo_company import REALM, DemoCompany
from benchmarks._timing import machine, show
from dashboard.navigation import ENTRIES
from data_platform.settings import load
from populate.adoption.tables import Adoption
from populate.pipeline import bind_all
from populate.retention.keeping import add_rule, hold
from populate.search.searching import prepare
from populate.silo import SiloMetric
from populate.snapshot import Snapshot, take_snapshot
from populate.who.asker import asker
from schemas import cluster
from schemas.binding import unbind
from schemas.embedded import EmbeddedServer

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from servers import openid

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = "/usr/bin/chromium"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
ROLES = ("scientist", "steward", "manager", "engineer")  # of the first people
SMALL = DemoCompany(100, 6, 600, 6_000)
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


class Place(NamedTuple):
    """An address of the dashboard, and who may see it."""

    path: str
    role: str


def build(company: DemoCompany, home: Path) -> None:
    """Make the company's catalogue, unless it is there."""
    settings = load(home=home)
    binding = bind_all(settings)
    if not len(Snapshot()):
        loader = Loader(binding)
        for table, columns, rows in company.tables():
            loader.load(table, columns, rows)
        loader.close()
        add_rule(binding, settings, "days", 730)
        hold(binding, settings, "case 17", department=company.names[0])
        take_snapshot(binding)
        SiloMetric.populate()
        Adoption.populate()
    while not prepare(asker(binding, settings)):
        pass  # the index that searches use, in short turns
    unbind()


@contextmanager
def served(home: Path, company: DemoCompany, provider: openid.Provider) -> Iterator[tuple[str, psutil.Process]]:
    """Serve the dashboard for as long as the block runs; yields its address and process."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    own = {
        "HOME": str(home),
        "REALM": REALM,
        "DASHBOARD__OIDC_URL": f"{provider.address}/.well-known/openid-configuration",
        "DASHBOARD__CLIENT_ID": openid.CLIENT,
        "DASHBOARD__CLIENT_SECRET": openid.SECRET,
        "DASHBOARD__URL": address,
    }
    own |= {f"DASHBOARD__{role.upper()}S": json.dumps([company.login(n)]) for n, role in enumerate(ROLES) if n}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DATA_PLATFORM_")}
    environment |= {f"DATA_PLATFORM_{name}": value for name, value in own.items()}
    command = [sys.executable, "-m", "data_platform", "dashboard", "--port", str(port)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        until_it_listens(address)
        yield address, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def until_it_listens(address: str) -> None:
    """Wait for a server."""
    for _ in range(PATIENCE // 200):
        with suppress(OSError):
            urllib.request.urlopen(f"{address}/_stcore/health", timeout=60).close()
            return
        time.sleep(0.2)
    raise RuntimeError("The dashboard does not listen.")


def places(company: DemoCompany) -> list[Place]:
    """Return every page, and every part of those that have several."""
    file, person = company.file_ids[company.people], company.ids[0]  # a second file of the scientist's
    parts = {
        "search": ["", "?q=toxicity", "?q=normalised+counts+2025"],
        "file": [f"?id={file}&part={part}" for part in ("overview", "versions", "readers", "copies", "origin", "ask")],
        "person": ["", f"?id={person}", f"?id={company.ids[company.people // 2]}"],
        "map": ["", f"?department={quote(company.names[0])}"],
        "mine": [f"?part={part}" for part in ("receipts", "questions", "recalls", "kept", "choices", "export")],
        "silos": [f"?view={view}" for view in ("Matrix", "Map", "Trend", "Departments")],
        "files": ["", f"?file={file}"],
        "audit": ["", "?who=larsen"],
        "operate": [f"?view={view}" for view in ("Queues", "Sources", "Storage")],
        "retention": ["", "?which=Holds"],
    }
    return [Place(f"/{one.path}{part}", one.role) for one in ENTRIES for part in parts.get(one.path, [""])]


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


INTERACTIONS: dict[str, tuple[str, str, Callable[[Page], object]]] = {
    "search for words": ("scientist", "/search", typed("What are you looking for?", "toxicity screen")),
    "a file's readers": ("scientist", "/file?id=FILE", chosen("Readers")),
    "a file's origin": ("scientist", "/file?id=FILE", chosen("Origin")),
    "my choices": ("scientist", "/mine", chosen("Choices")),
    "bytes over time": ("manager", "/adoption", chosen("Sources")),
    "silos by department": ("manager", "/silos", chosen("Departments")),
    "audit trail of a person": ("steward", "/audit", typed("Who", "larsen")),
    "legal holds": ("steward", "/retention", chosen("Holds")),
    "health of sources": ("engineer", "/operate", chosen("Sources")),
}


def measured(looking: Looking, company: DemoCompany, rounds: int, small: bool) -> dict[str, object]:
    """Look at everything, and print what it took."""
    contexts = {role: looking.session(company.login(n)) for n, role in enumerate(ROLES)}
    costs = _pages(looking, contexts, company, rounds, small)
    head = ("", "first content, ms", "all of it, ms", "CPU, ms")
    show(
        f"pages, median of {rounds}", head, [(_named(path, company), *_medians(found)) for path, found in costs.items()]
    )
    acted = _interactions(looking, contexts, company, rounds)
    show(
        f"interactions, median of {rounds}",
        (head[0], *head[2:]),
        [(name, *_medians(one)[1:]) for name, one in acted.items()],
    )
    sessions = 4 if small else 20
    memory = _crowd(looking, contexts, company, sessions)
    print(f"\nmemory of the dashboard with {sessions} sessions: {memory:,.0f} MiB")
    for complaint in dict.fromkeys(looking.complaints):
        print(f"complaint: {complaint}")
    return {
        "pages": len(ENTRIES) * len(ROLES),
        "complaints": len(dict.fromkeys(looking.complaints)),
        "first_content_ms": max(_medians(one)[0] for one in costs.values()),
        "interaction_ms": max(_medians(one)[1] for one in acted.values()),
        "page_cpu_ms": max(_medians(one)[2] for one in costs.values()),
        "memory_mib": round(memory),
        "sessions": sessions,
    }


def _pages(
    looking: Looking, contexts: dict[str, BrowserContext], company: DemoCompany, rounds: int, small: bool
) -> dict[str, list[Cost]]:
    """Open all, for everybody; those of their own as often as there are rounds."""
    costs: dict[str, list[Cost]] = {}
    pages = {role: looking.page(context, role) for role, context in contexts.items()}
    met: set[str] = set()
    for place in places(company):
        again = place.path.partition("?")[0] in met
        met.add(place.path.partition("?")[0])
        if small and again:
            continue
        for role, page in pages.items():
            if role == place.role:
                costs[place.path] = [looking.visit(page, place.path) for _ in range(rounds)]
                print(f"{_named(place.path, company):60} {_medians(costs[place.path])}", flush=True)
            elif not again:
                looking.visit(page, place.path)
    for page in pages.values():
        page.close()
    return costs


def _interactions(
    looking: Looking, contexts: dict[str, BrowserContext], company: DemoCompany, rounds: int
) -> dict[str, list[Cost]]:
    found: dict[str, list[Cost]] = {}
    for name, (role, path, act) in INTERACTIONS.items():
        page = looking.page(contexts[role], role)
        for _ in range(rounds):
            looking.visit(page, path.replace("FILE", company.file_ids[company.people]))
            found.setdefault(name, []).append(looking.interact(page, act))
        print(f"{name:60} {_medians(found[name])[1:]}", flush=True)
        page.close()
    return found


def _crowd(looking: Looking, contexts: dict[str, BrowserContext], company: DemoCompany, sessions: int) -> float:
    """Return the memory with so many pages open at once."""
    pages = []
    own = {role: [place.path for place in places(company) if place.role == role] for role in ROLES}
    for number in range(sessions):
        role = ROLES[number % len(ROLES)]
        page = looking.page(contexts[role], role)
        looking.visit(page, own[role][number // len(ROLES) % len(own[role])])
        pages.append(page)
    memory = looking.memory()
    for page in pages:
        page.close()
    return memory


def _named(path: str, company: DemoCompany) -> str:
    return path.replace(company.file_ids[company.people], "FILE").replace(company.ids[0], "ME")[:60]


def _medians(costs: list[Cost]) -> tuple[int, int, int]:
    first, whole, cpu = (round(median(one[place] for one in costs)) for place in range(3))
    return first, whole, cpu


def main() -> None:
    """Build, look and report."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description="Pages of the dashboard in a large company.")
    parser.add_argument("--small", action="store_true", help="a small company, ends within a minute")
    parser.add_argument("--home", type=Path, help="keeps the company for another run")
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    company, rounds = (SMALL, 1) if options.small else (DemoCompany(), options.rounds)
    home = options.home or Path(tempfile.mkdtemp(prefix="benchmark-"))
    print(f"{company.people:,} people, {company.files:,} files, {company.accesses:,} accesses; {machine()}")
    try:
        build(company, home)
        with (
            openid.openid_provider() as provider,
            served(home, company, provider) as (address, process),
            sync_playwright() as playwright,
        ):
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=PATIENCE)
            looking = Looking(browser, address, provider, process, home)
            figures = measured(looking, company, rounds, options.small)
            browser.close()
    finally:
        if options.home is None:
            EmbeddedServer(load(home=home).home).remove()
            shutil.rmtree(home, ignore_errors=True)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
