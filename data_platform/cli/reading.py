"""Reading, and delivering what was read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from data_platform.cli.output import json_option, print_json

if TYPE_CHECKING:
    from readers.freshness import OnStale


@click.command()
@click.argument("url")
@click.option("--version", metavar="sha256:HEX", help="Exactly this content, from the backup if need be.")
@click.option("--as-of", metavar="MOMENT", help="The version in force then, as 2026-05-01T12:00 (UTC).")
@click.option(
    "--on-stale",
    type=click.Choice(["warn", "latest", "error"]),
    help="What to do if the bytes are recalled or out of date; by default the setting reading.on_stale.",
)
@json_option
def read(url: str, version: str | None, as_of: str | None, on_stale: OnStale | None, as_json: bool) -> None:
    """Read a link or path and print the local path of its bytes.

    \b
    Example:
        data-platform read /shares/clinical/lung.csv
        data-platform read https://data.example.org/lung.csv --as-of 2026-05-01
    """
    from data_platform import face
    from data_platform.errors import CacheError
    from readers.fetch import outlives

    path = face.read(url, version=version, as_of=as_of, on_stale=on_stale)
    if not outlives(path):
        raise CacheError("The bytes cannot be kept on this disk. Make room, or set DATA_PLATFORM_HOME to another one.")
    if as_json:
        print_json({"url": url, "path": str(path)})
    else:
        click.echo(str(path))


@click.command()
@json_option
def flush(as_json: bool) -> None:
    """Deliver the accesses that wait on this machine, now.

    \b
    Example:
        data-platform flush
    """
    from data_platform import face

    delivered = face.flush()
    if as_json:
        print_json({"delivered": delivered})
    else:
        click.echo(f"{delivered:,} accesses delivered.")
