"""The catalogue and its backups: work it off, get bytes back, check them."""

from __future__ import annotations

import logging
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import click

from data_platform.cli.output import json_option, print_json

PROBLEMS_FOUND = 1
_log = logging.getLogger("data_platform.cli")


@click.command()
@click.option("--once", is_flag=True, help="End when nothing is left to do.")
@click.option("--processes", default=1, show_default=True, type=click.IntRange(1, 64), help="How many work at once.")
@click.pass_context
def worker(ctx: click.Context, once: bool, processes: int) -> None:
    """Turn accesses into catalogue rows and back up what is new.

    Runs until Ctrl-C or SIGTERM and then finishes what it has begun. Several workers, on
    several machines, share the work; then `data-platform scheduler` keeps their queues.

    \b
    Example:
        data-platform worker --once
        data-platform worker --processes 4
    """
    from data_platform import face

    failed = face.worker(once=once, processes=processes)
    if failed:
        _log.warning("%s batches failed and wait for their next try; `data-platform status` says why.", f"{failed:,}")
        ctx.exit(PROBLEMS_FOUND)


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
