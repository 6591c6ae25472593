"""Files that say the same: the command for the live query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING

import click

from dashboard.display import human_bytes
from data_platform.cli.output import json_option, print_json, print_table

if TYPE_CHECKING:
    from populate.duplicates.find import Found, Pair
    from populate.duplicates.live import Copy

KINDS = ("exact", "stale", "diverged", "near", "same name")
SHOWN = 20


@click.command()
@click.option("--kind", "kinds", multiple=True, type=click.Choice(KINDS), help="Only this kind; may be repeated.")
@click.option("--min-bytes", default=1, show_default=True, type=click.IntRange(1), help="Only contents of this size.")
@click.option("--limit", default=SHOWN, show_default=True, type=click.IntRange(1), help="Most results of each kind.")
@json_option
def duplicates(kinds: Sequence[str], min_bytes: int, limit: int, as_json: bool) -> None:
    """Print files that say the same, over all sources, as they are now.

    Exact copies have the same bytes; of each content that most could be saved of first, the original
    first. Stale is a copy of an older version of another file; diverged are files that once were the
    same; near are files that say the same, or almost, in other bytes (CSV and XLSX, packed or not).

    \b
    Example:
        data-platform duplicates --kind exact --min-bytes 1000000
        data-platform duplicates --kind stale --kind near --json
    """
    from data_platform import face

    found = face.duplicates(kinds or KINDS, min_bytes=min_bytes, limit=limit)
    if as_json:
        print_json({**asdict(found), "totals": found.totals._asdict()})
    else:
        _print(found)


def _print(found: Found) -> None:
    totals = found.totals
    logical, stored, saved = map(human_bytes, (totals.bytes_logical, totals.bytes_stored, totals.bytes_saved))
    click.echo(
        f"{totals.contents:,} contents are held {totals.copies:,} times: {logical} with their owners, "
        f"{stored} in the content store, {saved} less than if each copy were kept."
    )
    for _, group in groupby(found.copies, key=lambda copy: copy.sha256):
        _print_copies(list(group))
    for kind, pairs in groupby(found.pairs, key=lambda pair: pair.kind):
        click.echo(f"\n{kind}")
        print_table(("file", "owner", "of", "owner", "alike"), [_cells(pair) for pair in pairs])


def _print_copies(copies: list[Copy]) -> None:
    first = copies[0]
    click.echo(f"\n{first.sha256[:16]}  {len(copies)} files of {human_bytes(first.size)}")
    rows = [
        (
            "original" if copy.is_origin else "copy",
            copy.path,
            copy.owner.full_name or "?",
            copy.owner.department,
            f"{copy.first_seen:%Y-%m-%d}" if copy.first_seen else "never read",
            copy.evidence,
        )
        for copy in copies
    ]
    print_table(("", "file", "owner", "department", "first seen", "evidence"), rows)


def _cells(pair: Pair) -> tuple[str, ...]:
    alike = f"{pair.similarity:.0%}" if pair.similarity else ""
    owners = (party.owner.full_name or "?" for party in (pair.file, pair.other))
    of_file, of_other = owners
    return pair.file.path, of_file, pair.other.path, of_other, alike
