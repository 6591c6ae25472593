"""Sealing what is stored already."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from dashboard.display import human_bytes
from data_platform.cli.backups import PROBLEMS_FOUND, SHOWN
from data_platform.cli.output import json_option, print_json, printable

if TYPE_CHECKING:
    from populate.backup.sealing import Sealed


@click.command()
@json_option
@click.pass_context
def seal(ctx: click.Context, as_json: bool) -> None:
    """Encrypt what is stored already with the newest key; exit 1 if something could not be.

    For what was stored before `store.seal` was set, and for what an older key encrypted; store and replica.
    Each object is read back before the unencrypted one goes, while everything else goes on. What was broken
    off goes on when it is called again. Erasing waits for a part of it.

    \b
    Example:
        data-platform seal
    """
    from data_platform import face

    is_shown = sys.stderr.isatty() and not as_json
    done = face.seal(progress=_show if is_shown else None)
    if is_shown:
        click.echo("\r\033[K", err=True, nl=False)
    if as_json:
        print_json(asdict(done))
    else:
        _print(done)
    if done.refused:
        ctx.exit(PROBLEMS_FOUND)


def _show(done: Sealed) -> None:
    click.echo(f"\r{_said(done)} \033[K", err=True, nl=False)


def _said(done: Sealed) -> str:
    return f"{done.objects:,} objects of {human_bytes(done.bytes)} were sealed, {done.renewed:,} with a new key"


def _print(done: Sealed) -> None:
    for refused in done.refused[:SHOWN]:
        click.echo(printable(refused))
    if len(done.refused) > SHOWN:
        click.echo(f"… and {len(done.refused) - SHOWN:,} more; --json lists all.")
    click.echo(f"{_said(done)}; {len(done.refused):,} could not be.")
    if done.locked:
        click.echo(f"{done.locked:,} are there unsealed, too, until the store lets that be removed: seal again then.")
    for key in done.forgotten:
        click.echo(f"Nothing is sealed with the key {key} any more: take it out of store.seal_keys.")
