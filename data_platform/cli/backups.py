"""Backups: get bytes back, and check them."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dashboard.display import human_bytes
from data_platform.cli.output import json_option, print_json, printable

if TYPE_CHECKING:
    from populate.backup.rebuild import Rebuilt
    from populate.backup.restoring import Restored

PROBLEMS_FOUND = 1
SHOWN = 20  # of what could not be restored
SHOW_SECONDS = 0.5  # between two looks at how far it is


@click.command()
@click.argument("sha256")
@click.option("--to", metavar="PATH", type=click.Path(path_type=Path), help="File or folder; default: this folder.")
def restore(sha256: str, to: Path | None) -> None:
    """Write a backed-up content to a file, verified byte by byte, and print its path.

    SHA256 is the content's hash: 64 hex digits, or the first 8 and more, with or without `sha256:`.
    In a folder the file is called what a file with this content was last called.

    \b
    Example:
        data-platform restore sha256:9f86d081884c --to old.csv
    """
    from data_platform import face

    click.echo(str(face.restore(sha256, to)))


@click.command("restore-files")
@click.option("--to", metavar="FOLDER", required=True, type=click.Path(path_type=Path), help="Where to put them.")
@click.option("--owner", metavar="PERSON", default="", help="Only files of this person: a login, or a full name.")
@click.option("--source", metavar="SYSTEM", default="", help="Only files of this source system, as nfs:filer/export.")
@click.option("--below", metavar="PATH", default="", help="Only this file, or what is below this folder.")
@click.option(
    "--as-of",
    metavar="TIME",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]),
    help="As they were then, UTC; a day stands for its beginning.",
)
@click.option("--set", "file_set", metavar="SHA256", default="", help="Only the members of this file set.")
@click.option("--gone", is_flag=True, help="Files that were no longer there, too.")
@json_option
@click.pass_context
def restore_files(ctx: click.Context, /, to: Path, as_json: bool, **choice: Any) -> None:
    """Write backed-up files below a folder, each verified byte by byte; without a choice, all of them.

    They get their names and, where known, their times of modification. What is there already is compared
    and stays, so a restore that was broken off goes on when it is called again. Exit 1 if a file could
    not be restored.

    \b
    Example:
        data-platform restore-files --owner amy --to amys-files
        data-platform restore-files --below /shares/screening --as-of 2026-05-01 --to then
        data-platform restore-files --set sha256:9f86d081884c… --to plates
    """
    from data_platform import face

    shown = _Shown() if sys.stderr.isatty() and not as_json else None
    done = face.restore_files(to, **choice, progress=shown)
    if shown:
        shown.close()
    if as_json:
        print_json(asdict(done))
    else:
        _print(done)
    if done.refused:
        ctx.exit(PROBLEMS_FOUND)


class _Shown:
    """Shows on a terminal how far it is."""

    def __init__(self) -> None:
        self._next = 0.0

    def __call__(self, done: Restored) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + SHOW_SECONDS
            click.echo(f"\r{done.files:,} files, {human_bytes(done.bytes)} \033[K", err=True, nl=False)

    def close(self) -> None:
        click.echo("\r\033[K", err=True, nl=False)


def _print(done: Restored) -> None:
    for refused in done.refused[:SHOWN]:
        click.echo(f"{printable(refused.path)}: {printable(refused.reason)}")
    if len(done.refused) > SHOWN:
        click.echo(f"… and {len(done.refused) - SHOWN:,} more; --json lists all.")
    said = f"{done.files:,} files of {human_bytes(done.bytes)} are in place, {done.present:,} of them were before"
    click.echo(f"{said}; {len(done.refused):,} could not be restored.")


@click.command()
@click.argument("sha256")
@click.option("--reason", required=True, metavar="TEXT", help="Why; it stays in the catalogue.")
@click.option("--yes", is_flag=True, help="Do not ask once more.")
@json_option
@click.pass_context
def erase(ctx: click.Context, /, sha256: str, reason: str, yes: bool, as_json: bool) -> None:
    """Erase a content from the store, its replica and this machine's cache, for good; exit 1 if a store still has it.

    SHA256 is the content's hash: 64 hex digits, or the first 8 and more. That it was there, who read it and
    why it was erased stays in the catalogue; it is not backed up again. Sources keep their files. What is
    under a legal hold is not erased.

    \b
    Example:
        data-platform erase sha256:9f86d081884c --reason "consent withdrawn, case 17"
    """
    from data_platform import face

    if not yes:
        click.confirm(f"Erase {printable(sha256)} for good?", abort=True, err=True)
    done = face.erase(sha256, reason=reason)
    if as_json:
        print_json(asdict(done))
    else:
        cached = " and from this machine's cache" if done.cached else ""
        click.echo(f"{done.sha256} is gone from {len(done.removed)} objects{cached}.")
        for name in done.elsewhere:
            click.echo(f"{name} still has it: set store.url to it and erase it again.")
    if done.elsewhere:
        ctx.exit(PROBLEMS_FOUND)


@click.command()
@click.option("--verify-data", is_flag=True, help="Read what the catalogue knows already, too, and compare its hash.")
@click.option("--only-decisions", is_flag=True, help="Enter legal holds and rules only, which takes a steward.")
@json_option
@click.pass_context
def rebuild(ctx: click.Context, verify_data: bool, only_decisions: bool, as_json: bool) -> None:
    """Enter what the content store holds into the catalogue; exit 1 if there is anything that cannot be.

    For when the database was lost and the store was not. Restore the newest backup of the database first,
    for only that tells what files were called and who read them. Contents are entered by a worker, legal holds and
    rules by a steward.

    \b
    Example:
        data-platform rebuild --verify-data
        data-platform rebuild --only-decisions
    """
    from data_platform import face

    progress = None if as_json else _Entered()
    found = face.rebuild(verify_data=verify_data, only_decisions=only_decisions, progress=progress)
    if as_json:
        print_json(asdict(found))
    else:
        for refused in found.refused[:SHOWN]:
            click.echo(printable(refused))
        click.echo(f"{len(found.decisions):,} decisions about keeping were entered.")
        if not only_decisions:
            held = f"{found.contents:,} contents of {human_bytes(found.bytes)} are in the store"
            click.echo(f"{held}, {found.added:,} of them were entered; {len(found.refused):,} objects were refused.")
    if found.refused:
        ctx.exit(PROBLEMS_FOUND)


class _Entered:
    """Prints each decision once it is entered: whoever may write to the store can write decisions into it."""

    def __init__(self) -> None:
        self._shown = 0

    def __call__(self, found: Rebuilt) -> None:
        for decision in found.decisions[self._shown :]:
            click.echo(f"entered: {printable(decision)}")
        self._shown = len(found.decisions)


class _Measured(click.ParamType[float]):
    """A number with its unit after it."""

    def __init__(self, unit: str, factor: float, highest: float) -> None:
        self.name = f"number{unit}"
        self._unit = unit
        self._factor = factor
        self._highest = highest

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number in the unit that the program counts in."""
        text = str(value).strip()
        try:
            number = float(text.removesuffix(self._unit)) * self._factor
        except ValueError:
            number = -1.0
        if not text.endswith(self._unit) or not 0 < number <= self._highest:
            self.fail(f"{text!r} is not a number with {self._unit} after it, as 1{self._unit}.", param, ctx)
        return number


@click.command()
@click.option("--verify-data", is_flag=True, help="Read every byte and compare its hash, too.")
@click.option("--sample", metavar="PERCENT", type=_Measured("%", 0.01, 1.0), help="Only so many, as 1%; by chance.")
@click.option("--older-than", metavar="DAYS", type=_Measured("d", 1.0, 36_500.0), help="Not read back for, as 30d.")
@json_option
@click.pass_context
def check(ctx: click.Context, verify_data: bool, sample: float | None, older_than: float | None, as_json: bool) -> None:
    """Look for backups that are missing, of the wrong size or damaged; exit 1 if there are any.

    Contents that were read back whole are noted down; `data-platform status` counts them as proven.
    The scheduler has each read back once in `store.verify_days` anyhow.

    \b
    Example:
        data-platform check --verify-data
        data-platform check --verify-data --sample 1%
        data-platform check --verify-data --older-than 30d
    """
    from data_platform import face

    if (sample or older_than) and not verify_data:
        raise click.UsageError("--sample and --older-than choose what is read: add --verify-data.")
    age = None if older_than is None else timedelta(days=older_than)
    problems = list(face.check(verify_data=verify_data, sample=sample or 1.0, older_than=age))
    if as_json:
        print_json([asdict(problem) for problem in problems])
    else:
        for problem in problems:
            click.echo(str(problem))
        click.echo(f"{len(problems):,} problems found." if problems else "Every backup is in place.")
    if problems:
        ctx.exit(PROBLEMS_FOUND)
