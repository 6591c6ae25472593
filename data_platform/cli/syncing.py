"""Bringing what sources and directories know up to date."""

from __future__ import annotations

from typing import Any

import click

from data_platform.cli.output import json_option, print_json, print_pairs

SOMETHING_REFUSED = 1


@click.group()
def sync() -> None:
    """Bring what sources and directories know already into the catalogue; the scheduler does it by itself.

    \b
    Example:
        data-platform sync sharing
    """


@sync.command()
@click.option("--full", is_flag=True, help="Ask for everything, not only for changes; find new drives of sites.")
@json_option
@click.pass_context
def sharing(ctx: click.Context, full: bool, as_json: bool) -> None:
    """Permissions, names, moves, versions and gone files at Microsoft 365, and its log of sharing and reads.

    Only files that somebody read are followed, and all files of the sites and drives that
    `microsoft365.follow` names. It may be stopped at any time; the next run goes on. Exit 1 if
    something could not be asked: that is listed, and asked again by the next run.

    \b
    Example:
        data-platform sync sharing
        data-platform sync sharing --full --json
    """
    from data_platform import face

    done: dict[str, Any] = face.sync("sharing", full=full)
    if as_json:
        print_json(done)
    else:
        print_pairs({name: value for name, value in done.items() if isinstance(value, int) and name != "busy"})
        for name, reason in done["refused"].items():
            click.echo(f"{name}: {reason}", err=True)
        if done["busy"]:
            click.echo("Somebody else is syncing just now; nothing was done here.", err=True)
    if done["refused"]:
        ctx.exit(SOMETHING_REFUSED)


@click.command()
@click.option("--address", default="127.0.0.1", show_default=True, help="IPv4 address to listen at.")
@click.option("--port", default=8511, show_default=True, type=click.IntRange(0, 65535), help="0 = any that is free.")
def notices(address: str, port: int) -> None:
    """Take Microsoft 365's notices of changes, so that they appear within seconds; runs until Ctrl-C or SIGTERM.

    Needs `microsoft365.notify_url`, which has to lead here through a server that speaks HTTPS, and
    `microsoft365.notify_key`. Without this changes appear with the scheduler's next look.

    \b
    Example:
        data-platform notices --address 0.0.0.0 --port 8511
    """
    from data_platform import face

    face.notices(address=address, port=port)
