"""Services that run for as long as the platform does, and what a person does about them."""

from __future__ import annotations

import click

from data_platform.cli.output import json_option, print_json, print_pairs

NOT_READY = 1


@click.command()
def scheduler() -> None:
    """Keep the job queues: fill them, free and retry jobs, take a snapshot of every day.

    One is at work at a time; a second one stands by and takes over when the first is gone.
    With a scheduler workers only reserve and make; without one they do all this themselves,
    between two jobs. Runs until Ctrl-C or SIGTERM.

    \b
    Example:
        DATA_PLATFORM_MONITOR__PORT=9464 data-platform scheduler
    """
    from data_platform import face

    face.scheduler()


@click.command()
@json_option
def retry(as_json: bool) -> None:
    """Have everything that failed tried again at once: for when the cause has been mended.

    `data-platform status` lists what needs a person, and why.

    \b
    Example:
        data-platform retry
    """
    from data_platform import face

    counts = face.retry()
    if as_json:
        print_json(counts)
    else:
        click.echo(f"{counts['jobs']:,} jobs and {counts['versions']:,} versions are tried again.")
        if counts["damaged"]:
            click.echo(f"{counts['damaged']:,} damaged contents are read, and fetched, once more.")


@click.command()
@click.argument("url", required=False, default="")
@click.option("--live", is_flag=True, help="Ask only whether the process answers.")
@json_option
@click.pass_context
def health(ctx: click.Context, url: str, live: bool, as_json: bool) -> None:
    """Ask a worker or scheduler whether it can do its work; exit 1 if not.

    Without URL the one that listens at `monitor.host` and `monitor.port` is asked, as the health
    check of a container does.

    \b
    Example:
        data-platform health
        data-platform health http://worker-1:9464 --json
    """
    from data_platform import face

    told = face.health(url, live=live)
    if as_json:
        print_json(told)
    else:
        print_pairs({name: "yes" if part is True else "no" if part is False else part for name, part in told.items()})
    if not told["ready"]:
        ctx.exit(NOT_READY)
