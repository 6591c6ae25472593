"""The catalogue: work it off."""

from __future__ import annotations

import logging

import click

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
