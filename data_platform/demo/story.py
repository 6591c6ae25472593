"""What happens in the demo: scripts that colleagues run, an edit, copies, a pipe that is no file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path
from shutil import which

import click

from data_platform.demo import shares
from data_platform.demo.company import NAMES
from data_platform.demo.journal import Journal
from data_platform.errors import DemoFailed
from data_platform.settings import isolated_environment

AT_ONCE = 2
PATIENCE = 300.0  # seconds for one script, on a very busy machine
REPOSITORY = "https://git.example.org/example-biotech/analyses.git"
COLUMN = 20


@dataclass(frozen=True, slots=True)
class Run:
    """A script that a colleague runs; arguments that exist on the shares become full paths."""

    login: str
    script: str
    arguments: tuple[str, ...]
    on_behalf_of: str = ""
    paths: frozenset[str] = field(default=frozenset())


def _run(login: str, script: str, *arguments: str, on: Sequence[str], on_behalf_of: str = "") -> Run:
    return Run(login, script, (*on, *arguments), on_behalf_of, frozenset(on))


FIRST_WEEK = (
    _run("aiko.tanaka", "survival_curves.py", "--group", "sex", on=[shares.TRIAL]),
    _run("samuel.okafor", "cox_model.py", "--event", "cens", on=[shares.BREAST]),
    _run("priya.nair", "survival_curves.py", "--time", "T", "--event", "E", "--group", "group", on=[shares.MIR137]),
    _run("jonas.weber", "cox_model.py", "--event", "death", on=[shares.KIDNEY]),
)
COPIES_AT_WORK = (
    _run(
        "lukas.novak", "survival_curves.py", "--group", "sex", on=["Oncology research/lukas.novak/from Maria/lung.csv"]
    ),
    _run(
        "chen.wei",
        "summarise_folder.py",
        "--to",
        f"{shares.RESULTS}/breast cancer tables.csv",
        on=["Clinical/maria.rossi/GBSG-2 breast cancer"],
    ),
    _run("elena.petrova", "inventory.py", on=["Clinical", "Biostatistics", "Oncology research", "Data science"]),
)
AFTER_THE_EDIT = (
    _run("aiko.tanaka", "survival_curves.py", "--group", "sex", on=[shares.TRIAL]),
    _run("maria.rossi", "inventory.py", on=[shares.RESULTS]),
    _run("svc-reports", "inventory.py", on=["Clinical"], on_behalf_of="elena.petrova"),
)


def play(home: Path, journal: Journal) -> None:
    """Let everything happen that has not happened yet."""
    acts: tuple[tuple[str, Callable[[Path], str], Sequence[Run]], ...] = (
        ("shares", shares.lay_out, FIRST_WEEK),
        ("copies", shares.make_copies, COPIES_AT_WORK),
        ("edit", shares.correct_trial, AFTER_THE_EDIT),
    )
    scripts = prepare_scripts(home)
    for name, change, runs in acts:
        happened = change(home)  # changes nothing that was changed before
        if journal.done(name):
            say(name, "done in an earlier run of the demo, not repeated")
            continue
        say(name, happened)
        all_at_work(home, scripts, runs)
        journal.note(name)


def all_at_work(home: Path, scripts: Path, runs: Sequence[Run]) -> None:
    """Run the scripts, a few at a time, and say what each printed."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for run, line in zip(runs, threads.map(lambda run: execute(home, scripts, run), runs), strict=True):
            say(NAMES[run.login], f"{run.script}: {line}")


def execute(home: Path, scripts: Path, run: Run) -> str:
    """Run a script as its colleague would and return the line that it printed.

    Raises
    ------
    DemoFailed
        If the script failed, with the end of what it said.
    """
    arguments = [str(shares.shares(home) / text) if _on_shares(text, run) else text for text in run.arguments]
    environment = isolated_environment(home, ACCOUNT=run.login, ON_BEHALF_OF=run.on_behalf_of)
    done = subprocess.run(
        [sys.executable, scripts / run.script, *arguments],
        cwd=scripts,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if done.returncode:
        raise DemoFailed(f"{run.script} of {NAMES[run.login]} failed: {done.stderr.strip()[-600:]}")
    return done.stdout.strip()


def _on_shares(text: str, run: Run) -> bool:
    return text in run.paths or text.startswith(shares.RESULTS)


def prepare_scripts(home: Path) -> Path:
    """Copy the scripts into a git repository of the demo's, if git is there, and return their folder."""
    folder = home / "analyses"
    folder.mkdir(exist_ok=True)
    for script in files("data_platform.demo.analyses").iterdir():
        if script.name.endswith(".py") and script.name != "__init__.py":
            with as_file(script) as path:
                (folder / script.name).write_bytes(path.read_bytes())
    if which("git") and not (folder / ".git").exists():
        _commit_all(folder)
    return folder


def _commit_all(folder: Path) -> None:
    for command in (
        ["init", "--quiet", "--initial-branch=main"],
        ["remote", "add", "origin", REPOSITORY],
        ["add", "--all"],
        ["commit", "--quiet", "--message", "Analyses of the demo"],
    ):
        subprocess.run(["git", *command], cwd=folder, env=_git_environment(folder), check=True, capture_output=True)


def _git_environment(folder: Path) -> dict[str, str]:
    """Git's own settings left aside: no signing, no hooks, no repository around this one."""
    inherited = {name: value for name, value in isolated_environment(folder).items() if not name.startswith("GIT_")}
    author = {f"GIT_{role}_{what}": text for role in ("AUTHOR", "COMMITTER") for what, text in _AUTHOR.items()}
    return inherited | author | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}


_AUTHOR = {"NAME": "Example Biotech (invented)", "EMAIL": "demo@example.org"}


def say(who: str, what: str) -> None:
    """Print a line of the story."""
    click.echo(f"  {who:<{COLUMN}}{what}")
