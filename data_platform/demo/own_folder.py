"""The demo on the user's own folder: the invented colleagues read its real files, nothing is changed in it."""

from __future__ import annotations

from pathlib import Path

from data_platform.demo.story import Run, all_at_work, prepare_scripts, say

AT_MOST = 500  # files; a demo should end while somebody watches
BELOW = 100_000_000  # bytes of a file

READERS = {"elena.petrova": 1, "aiko.tanaka": 2, "priya.nair": 3}
"""Who reads, and every how many files."""


def read_folder(home: Path, folder: Path) -> None:
    """Let three colleagues read the files of `folder`, the first all, the others some of them.

    A second run reads again, so that what changed since becomes a new version; what did not
    change adds accesses only.
    """
    scripts = prepare_scripts(home)
    say(
        "your folder",
        f"{folder}: at most {AT_MOST} files below {BELOW // 1_000_000} MB, owners as the file system says",
    )
    limits = ("--at-most", str(AT_MOST), "--below", str(BELOW))
    runs = [
        Run(login, "inventory.py", (str(folder), *limits, "--every", str(every))) for login, every in READERS.items()
    ]
    all_at_work(home, scripts, runs)
