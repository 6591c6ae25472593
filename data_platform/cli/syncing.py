"""Bringing what sources and directories know up to date."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from data_platform.cli.output import json_option, print_json, print_pairs, printable

if TYPE_CHECKING:
    from populate.directory.request import Origin

SOMETHING_REFUSED = 1


@click.group()
def sync() -> None:
    """Bring what sources and directories know already into the catalogue; the scheduler does it by itself.

    \b
    Example:
        data-platform sync people
        data-platform sync sharing
    """


@sync.command()
@click.option("--from", "origin", type=click.Choice(["entra", "ldap", "csv"]), help="Default: `directory.source`.")
@click.argument("path", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--full", is_flag=True, help="Ask for everybody, not only for changes.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be new; nothing is written.")
@click.option("--allow-drop", is_flag=True, help="Believe it even if very many have left at once.")
@json_option
def people(
    *, origin: Origin | None, path: Path | None, full: bool, dry_run: bool, allow_drop: bool, as_json: bool
) -> None:
    """Who works here, in which departments and groups, from Microsoft Entra, LDAP or a table (PATH, a CSV).

    Nothing is overwritten: what changes gets a row with its date, and doing it again adds nothing.
    If a larger share of the accounts than `directory.max_drop` were to be closed at once, or the
    directory does not tell everything, nothing is done.

    \b
    Example:
        data-platform sync people --from csv people.csv --dry-run
        data-platform sync people --from ldap
        data-platform sync people --full --json
    """
    from data_platform import face

    done: dict[str, Any] = face.sync(
        "people", full=full, origin=origin or "", path=path, allow_drop=allow_drop, dry_run=dry_run
    )
    if as_json:
        print_json(done)
        return
    print_pairs({name: value for name, value in done.items() if isinstance(value, int) and not isinstance(value, bool)})
    for sentence in done["odd"]:
        click.echo(printable(sentence), err=True)
    if dry_run:
        click.echo("Nothing was written.", err=True)


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
