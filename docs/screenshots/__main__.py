"""Take the pictures of the dashboard that the documentation shows: ``python -m docs.screenshots [FOLDER]``.

Makes an invented company in a folder of its own, serves its dashboard as one of its people, and opens each page in
Debian's Chromium, as wide as a laptop and as a phone. A look at them is part of every change of a page.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from docs.screenshots.company import ME, REALM

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = "/usr/bin/chromium"
SIZES = {"laptop": (1280, 860), "phone": (390, 844)}
PATIENCE = 60_000  # ms
BUILD = "import sys, pathlib; from docs.screenshots.company import build; build(pathlib.Path(sys.argv[1]))"
FILES = (
    "from docs.screenshots.company import files_of; from populate.pipeline import bind_all; "
    "print(*(f'{name}|{id}' for name, id in files_of(bind_all()).items()), sep='\\n')"
)
PAGES = {
    "search": "/?q=responder",
    "file": "/file?id={trial-7 visits 2024.csv}",
    "versions": "/file?id={trial-7 visits 2024.csv}&part=versions",
    "origin": "/file?id={responder scores 2024.csv}&part=origin",
    "person": "/person?id=ME",
    "map": "/map?department=Genomics",
    "mine": "/mine",
    "files": "/files",
    "adoption": "/adoption",
    "silos": "/silos",
    "duplicates": "/duplicates",
    "hygiene": "/hygiene",
    "audit": "/audit",
    "backups": "/backups",
    "retention": "/retention",
    "operate": "/operate",
    "enter": "/enter",
}


def main(folder: Path) -> None:
    """Make the company, serve it, and write a picture for each page and size."""
    with tempfile.TemporaryDirectory() as scratch:
        here = {name: value for name, value in os.environ.items() if not name.startswith("DATA_PLATFORM_")}
        own = {"HOME": scratch, "ACCOUNT": ME, "REALM": REALM, "CONFIG": ""}
        environment = here | {f"DATA_PLATFORM_{name}": value for name, value in own.items() if value}
        subprocess.run([sys.executable, "-c", BUILD, f"{scratch}/shares"], env=environment, check=True)
        told = subprocess.run(
            [sys.executable, "-c", FILES], env=environment, check=True, capture_output=True, text=True
        )
        ids = dict(line.split("|") for line in told.stdout.splitlines())
        with served(environment) as address:
            take(address, ids, folder)


@contextmanager
def served(environment: dict[str, str]) -> Iterator[str]:
    """Serve the dashboard for as long as the block runs; yields its address."""
    command = [sys.executable, "-m", "data_platform", "dashboard"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield next(line.split()[1] for line in process.stdout if line.startswith("Dashboard: "))
    finally:
        process.terminate()
        process.wait()


def take(address: str, ids: dict[str, str], folder: Path) -> None:
    """Write the pictures."""
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        for size, (width, height) in SIZES.items():
            for name, path in PAGES.items():
                page = settled(browser, address + _filled(path, ids), width, height)
                page.screenshot(path=folder / f"{name}-{size}.png")
                page.close()
        browser.close()


def settled(browser: Browser, url: str, width: int, height: int) -> Page:
    """Open a page and return it when it is complete."""
    page = browser.new_page(viewport={"width": width, "height": height})
    page.goto(url)
    page.locator("h1").first.wait_for(timeout=PATIENCE)
    for _ in range(2):  # what comes later may bring more
        for waiting in ("stStatusWidget", "stSkeleton"):
            page.wait_for_function(f"!document.querySelector('[data-testid={waiting}]')", timeout=PATIENCE)
        page.wait_for_timeout(1500)  # tables and charts draw themselves
    return page


def _filled(path: str, ids: dict[str, str]) -> str:
    from schemas.identity import account_id

    for name, file_id in ids.items():
        path = path.replace(f"{{{name}}}", file_id)
    return path.replace("id=ME", f"id={account_id(REALM, ME)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "images")
