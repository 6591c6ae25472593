"""Finding files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from data_platform.cli.output import json_option, print_json, printable
from data_platform.logs import log_to_stderr
from data_platform.settings import settings

if TYPE_CHECKING:
    from populate.search.searching import Hit, Results

NARROWED = {
    "kind": "Only files with this extension.",
    "source": "Only files of this source system.",
    "owner": "Only files of this owner.",
    "department": "Only files of owners of this department.",
    "month": "Only files read last in this month, as 2026-11.",
}
VALUES = 5
"""Values of a facet that are shown."""


def _narrowed(function: Callable[..., object]) -> Callable[..., object]:
    for name, text in reversed(NARROWED.items()):
        function = click.option(f"--{name}", multiple=True, help=f"{text} May be given again.")(function)
    return function


@click.command()
@click.argument("text", nargs=-1)
@_narrowed
@click.option("--limit", default=10, show_default=True, type=click.IntRange(1, 1000), help="Hits, at most.")
@click.option("--offset", default=0, type=click.IntRange(0), help="Leave out so many of the best.")
@click.option("--explain", is_flag=True, help="Show what each score is the sum of.")
@click.option("--rebuild", is_flag=True, help="Make the index anew from the tables.")
@click.option("--check", is_flag=True, help="Compare the index with the tables, and put it right.")
@click.option("--keep", is_flag=True, help="Make the index and keep it, until Ctrl-C or SIGTERM.")
@json_option
def search(
    *,
    text: tuple[str, ...],
    limit: int,
    offset: int,
    explain: bool,
    rebuild: bool,
    check: bool,
    keep: bool,
    as_json: bool,
    **narrowed: tuple[str, ...],
) -> None:
    """Find files by words, best first, and tell why each is there.

    TEXT is words of names, folders, people, departments, tags, notes, columns and their values. The last word may
    be unfinished; a word that nothing is called is taken for mistyped. Only files that you may know count. Of those
    whose owner lets them be found you see the title and whom to ask.

    \b
    Example:
        data-platform search flow cytometry plate
        data-platform search lung trial --kind xlsx --department Clinical --json
    """
    from data_platform import face

    if keep:
        return face.keep_search()
    if rebuild or check:
        return _look_after(rebuild, as_json)
    found = face.search(" ".join(text), **narrowed, limit=limit, offset=offset, explain=explain)
    if as_json:
        print_json(asdict(found))
    else:
        _show(found, offset)


def _look_after(rebuild: bool, as_json: bool) -> None:
    from data_platform import face

    log_to_stderr(settings().log, "search")  # making an index may take minutes
    if rebuild:
        count = face.rebuild_search()
        return print_json({"files": count}) if as_json else click.echo(f"The index has been made of {count:,} files.")
    checked = face.check_search()
    if as_json:
        return print_json(checked._asdict())
    what = f"was wrong about {checked.wrong:,} and has been put right" if checked.wrong else "is what the tables say"
    click.echo(f"Of {checked.files:,} files, the index {what}.")


def _show(found: Results, offset: int) -> None:
    if found.suggestion:
        click.echo(f"Nothing is called exactly so; this is what is found by: {printable(found.suggestion)}")
    if not found.hits:
        click.echo("Nothing fits that you may know. Use fewer words, or ask whom to ask: data-platform who ...")
        return _not_all_meant(found)
    meant = f", {found.by_meaning:,} of them by their meaning alone" if found.by_meaning else ""
    click.echo(f"{found.many}{meant}{_divided(found)}")
    for place, hit in enumerate(found.hits, start=offset + 1):
        _show_hit(place, hit)
    _not_all_meant(found)


def _not_all_meant(found: Results) -> None:
    if found.meant < 1:
        click.echo(f"By meaning {found.meant:.0%} of all files can be found so far; the next search finds more.")


def _divided(found: Results) -> str:
    kinds = found.facets["kind"]
    named = [f"{found.counted(count)} {printable(value)}" for value, count in kinds[:VALUES]]
    return f": {', '.join(named)}{' ...' if len(kinds) > VALUES else ''}" if named else ""


def _show_hit(place: int, hit: Hit) -> None:
    about = [hit.name, *(text for text in (hit.owner, hit.department) if text)]
    click.echo(f"{place}. {printable(', '.join(about))}")
    if hit.path:
        click.echo(f"   {printable(hit.source_system)} {printable(hit.path)}")
    click.echo(f"   {printable('; '.join(hit.reasons))}")
    if hit.parts:
        parts = [f"{name} {worth:.3f}" for name, worth in hit.parts.items()]
        click.echo(f"   {hit.score:.3f} = {' + '.join(parts)}")
