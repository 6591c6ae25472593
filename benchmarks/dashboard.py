"""Every page of the dashboard as every role, in a real browser, in the demo company at full size.

People sign in by OpenID Connect. Each page is opened by everybody, and all its parts by those whose page it is, and
looked through for complaints: exceptions, errors on the browser's console, requests to elsewhere. What it costs is
told by the clock and in CPU time of the dashboard and the database, which other work on the machine disturbs less.

Run as ``python -m benchmarks.dashboard [--small | --part N] [--home FOLDER] [--rounds N] [--sessions N]
[--only-sessions]``. It needs Chromium. `FOLDER` keeps the company for another run. The last line is a JSON object:

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
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from benchmarks._bulk import Loader
from benchmarks._demo_company import REALM, DemoCompany
from benchmarks._looking import Cost, Looking, chosen, looking_at, medians, typed
from benchmarks._timing import machine, show
from dashboard.navigation import ENTRIES, HOME
from data_platform.settings import load
from populate.adoption.tables import Adoption
from populate.duplicates.tables import DuplicateSet
from populate.pipeline import bind_all
from populate.retention.keeping import add_rule, hold
from populate.search.searching import prepare
from populate.silo import SiloMetric
from populate.snapshot import Snapshot, take_snapshot
from populate.who.asker import asker
from schemas.binding import unbind
from schemas.embedded import EmbeddedServer

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

ROLES = ("scientist", "steward", "manager", "engineer")  # of the first people
SMALL = DemoCompany(100, 6, 600, 6_000)


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
        for table in (SiloMetric, Adoption, DuplicateSet):
            table.populate()
    while not prepare(asker(binding, settings)):
        pass  # the index that searches use, in short turns
    unbind()


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
    paths = {one.path: "" if one.path == HOME else one.path for one in ENTRIES}
    return [Place(f"/{paths[one.path]}{part}", one.role) for one in ENTRIES for part in parts.get(one.path, [""])]


INTERACTIONS: dict[str, tuple[str, str, Callable[[Page], object]]] = {
    "search for words": ("scientist", "/", typed("What are you looking for?", "toxicity screen")),
    "a file's readers": ("scientist", "/file?id=FILE", chosen("Readers")),
    "a file's origin": ("scientist", "/file?id=FILE", chosen("Origin")),
    "my choices": ("scientist", "/mine", chosen("Choices")),
    "bytes over time": ("manager", "/adoption", chosen("Sources")),
    "silos by department": ("manager", "/silos", chosen("Departments")),
    "audit trail of a person": ("steward", "/audit", typed("Who", "larsen")),
    "legal holds": ("steward", "/retention", chosen("Holds")),
    "health of sources": ("engineer", "/operate", chosen("Sources")),
}


def signed_in(looking: Looking, company: DemoCompany) -> dict[str, BrowserContext]:
    """Sign somebody of each role in."""
    return {role: looking.session(company.login(n)) for n, role in enumerate(ROLES)}


def measured(looking: Looking, company: DemoCompany, rounds: int, small: bool, sessions: int) -> dict[str, object]:
    """Look at everything, and print what it took."""
    contexts = signed_in(looking, company)
    costs = _pages(looking, contexts, company, rounds, small)
    head = ("", "first content, ms", "all of it, ms", "CPU, ms")
    show(
        f"pages, median of {rounds}", head, [(_named(path, company), *medians(found)) for path, found in costs.items()]
    )
    acted = _interactions(looking, contexts, company, rounds, small)
    show(
        f"interactions, median of {rounds}",
        (head[0], *head[2:]),
        [(name, *medians(one)[1:]) for name, one in acted.items()],
    )
    return {
        "pages": len(ENTRIES) * (1 if small else len(ROLES)),
        "first_content_ms": max(medians(one)[0] for one in costs.values()),
        "interaction_ms": max(medians(one)[1] for one in acted.values()),
        "page_cpu_ms": max(medians(one)[2] for one in costs.values()),
        **crowded(looking, contexts, company, sessions),
    }


def crowded(
    looking: Looking, contexts: dict[str, BrowserContext], company: DemoCompany, sessions: int
) -> dict[str, object]:
    """Measure what so many sessions take, and print it, with all complaints."""
    memory = _crowd(looking, contexts, company, sessions)
    print(f"\nmemory of the dashboard with {sessions} sessions: {memory:,.0f} MiB")
    for complaint in dict.fromkeys(looking.complaints):
        print(f"complaint: {complaint}")
    return {"complaints": len(dict.fromkeys(looking.complaints)), "memory_mib": round(memory), "sessions": sessions}


def _pages(
    looking: Looking, contexts: dict[str, BrowserContext], company: DemoCompany, rounds: int, small: bool
) -> dict[str, list[Cost]]:
    """Open all, for everybody; those of their own as often as there are rounds. If `small`, these alone."""
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
                print(f"{_named(place.path, company):60} {medians(costs[place.path])}", flush=True)
            elif not again and not small:
                looking.visit(page, place.path)
    for page in pages.values():
        page.close()
    return costs


def _interactions(
    looking: Looking, contexts: dict[str, BrowserContext], company: DemoCompany, rounds: int, small: bool
) -> dict[str, list[Cost]]:
    """Do something on the pages; if `small`, something of each role."""
    found: dict[str, list[Cost]] = {}
    one_each = {role: name for name, (role, _, _) in INTERACTIONS.items()}
    for name, (role, path, act) in INTERACTIONS.items():
        if small and name != one_each[role]:
            continue
        page = looking.page(contexts[role], role)
        for _ in range(rounds):
            looking.visit(page, path.replace("FILE", company.file_ids[company.people]))
            found.setdefault(name, []).append(looking.interact(page, act))
        print(f"{name:60} {medians(found[name])[1:]}", flush=True)
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


def part_of(number: int) -> DemoCompany:
    """Return a company of a so-manieth of the full size."""
    whole = DemoCompany()
    return DemoCompany(
        whole.people // number, max(6, whole.departments // number), whole.files // number, whole.accesses // number
    )


def main() -> None:
    """Build, look and report."""
    parser = argparse.ArgumentParser(description="Pages of the dashboard in a large company.")
    parser.add_argument(
        "--small",
        action="store_true",
        help="a small company, each page by who has it",
    )
    parser.add_argument("--part", type=int, default=1, help="a company of a so-manieth of the full size")
    parser.add_argument("--home", type=Path, help="keeps the company for another run")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--sessions", type=int, help="so many at once; 4 in the small company, else 20")
    parser.add_argument("--only-sessions", action="store_true", help="measure nothing but these")
    options = parser.parse_args()
    company, rounds = (SMALL, 1) if options.small else (part_of(options.part), options.rounds)
    sessions = options.sessions or (4 if options.small else 20)
    home = options.home or Path(tempfile.mkdtemp(prefix="benchmark-"))
    print(f"{company.people:,} people, {company.files:,} files, {company.accesses:,} accesses; {machine()}")
    try:
        build(company, home)
        with looking_at(home, REALM, {role: company.login(n) for n, role in enumerate(ROLES) if n}) as looking:
            if options.only_sessions:
                figures = crowded(looking, signed_in(looking, company), company, sessions)
            else:
                figures = measured(looking, company, rounds, options.small, sessions)
    finally:
        if options.home is None:
            EmbeddedServer(load(home=home).home).remove()
            shutil.rmtree(home, ignore_errors=True)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
