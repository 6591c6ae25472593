"""Cataloguing a share that was there before."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from dashboard.display import human_bytes
from data_platform.cli.output import json_option, print_json, print_pairs

if TYPE_CHECKING:
    from populate.adopt.share import Adopted

SOMETHING_LEFT = 1
SHOWN = 20  # files that could not be read, before the rest is only counted
UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "ki": 1024, "mi": 1024**2, "gi": 1024**3}


def size(text: str) -> float:
    """Return a number of bytes that is written as 500000, 500k, 20M or 64Mi."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmg]i?)?b?", text.strip().lower())
    if match is None:
        raise click.BadParameter(f"{text!r} is not a number of bytes. Write it as 500000, 500k, 20M or 64Mi.")
    return float(match[1]) * UNITS[match[2] or ""]


@click.command()
@click.argument("url", metavar="PATH_OR_URL")
@click.option("--dry-run", is_flag=True, help="Only count what there is to do; nothing is written.")
@click.option("--work/--no-work", default=True, help="Take the files in here, or leave that to workers.")
@click.option("--files-per-second", type=click.FloatRange(min=0, min_open=True), help="Greatest rate; default: any.")
@click.option("--bytes-per-second", type=size, metavar="SIZE", help="Greatest rate, as 20M; default: any.")
@json_option
@click.pass_context
def adopt(
    ctx: click.Context,
    *,
    url: str,
    dry_run: bool,
    work: bool,
    files_per_second: float | None,
    bytes_per_second: float | None,
    as_json: bool,
) -> None:
    """Catalogue and back up everything below a folder, mounted share or s3:// prefix.

    Nobody counts as having read these files. It may be stopped at any time; the next run goes
    on, and later runs read only what is new or changed and note what has vanished. Exit 1 if
    it was stopped, or something could not be read: that is listed, and tried again by the next run.

    \b
    Example:
        data-platform adopt /mnt/lab --dry-run
        data-platform adopt /mnt/lab --files-per-second 200
        data-platform adopt s3://assays/2019/ --no-work
    """
    from data_platform import face

    done = face.adopt(
        url,
        dry_run=dry_run,
        work=work,
        files_per_second=files_per_second or 0.0,
        bytes_per_second=bytes_per_second or 0.0,
    )
    if as_json:
        print_json(asdict(done))
    else:
        print_pairs(_numbers(done, dry_run))
        _say(done)
    if done.unread or done.failed or done.stopped or (work and done.left):
        ctx.exit(SOMETHING_LEFT)


def _numbers(done: Adopted, dry_run: bool) -> dict[str, object]:
    found = done.found
    numbers: dict[str, object] = {
        "files found": found.files,
        "bytes found": human_bytes(found.bytes),
        "new": found.new,
        "changed": found.changed,
        "known": found.known,
        "planned before": found.waiting,
        "gone": found.gone,
    }
    if dry_run:
        return numbers | {"bytes to read": human_bytes(found.bytes_to_read)}
    return numbers | {"taken in": done.taken, "bytes read": human_bytes(done.taken_bytes), "not read": len(done.unread)}


def _say(done: Adopted) -> None:
    for unread in done.unread[:SHOWN]:
        click.echo(f"{unread.failure}: {unread.path}: {unread.message}", err=True)
    if len(done.unread) > SHOWN:
        click.echo(f"… and {len(done.unread) - SHOWN:,} more; --json lists all.", err=True)
    if done.stopped:
        click.echo("Stopped before the end. The same command goes on.", err=True)
    if done.failed:
        click.echo(f"{done.failed:,} batches failed and wait for their next try; the log says why.", err=True)
    elif done.left and not done.stopped:
        click.echo(f"Batches left to workers: {done.left:,}. Start one with: data-platform worker", err=True)
