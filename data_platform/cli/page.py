"""The page of a file, and what differs between its versions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

import click

from dashboard.display import human_bytes
from data_platform.cli.output import json_option, print_json, printable, table

if TYPE_CHECKING:
    from populate.page.reply import Difference, SheetDifference
    from populate.page.shape import FilePage
    from populate.profile.view import ColumnView, ProfileView

SHOWN = 20  # rows of each list, at most
DIGITS = 12  # of a SHA-256
EMPTY = "(nothing)"


@click.command()
@click.argument("file")
@json_option
def show(file: str, as_json: bool) -> None:
    """Show a file: versions, who reads it, what is in it, copies, and whom to ask.

    FILE is a link or path; or the name of a file that you may know. Only what you may know is told.

    \b
    Example:
        data-platform show /shares/screening/plate_12.csv
        data-platform show plate_12.csv --json
    """
    from data_platform import face

    page = face.show(file)
    if as_json:
        print_json(asdict(page))
    else:
        _print(page)


@click.command()
@click.argument("file")
@click.argument("old", default="")
@click.argument("new", default="")
@json_option
def diff(file: str, old: str, new: str, as_json: bool) -> None:
    """Show what differs between two versions of a file.

    FILE is as for `show`. OLD and NEW are SHA-256 of versions, or their first 8 digits and more; the newest version
    and the one before it unless given. Tables are compared by rows and columns, whatever each was saved as; texts by
    lines; of other formats only the bytes are.

    \b
    Example:
        data-platform diff /shares/screening/plate_12.csv
        data-platform diff plate_12.csv 9f86d081 60303ae2 --json
    """
    from data_platform import face

    found = face.diff(file, old, new)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        _tell(found)


def _print(page: FilePage) -> None:
    click.echo(page.name)
    if page.limited:
        click.echo("You may know that this file is there, and not more. Ask its owner:")
    else:
        owner = f"{page.owner.name}, {page.owner.department}".rstrip(", ") if page.owner else "unknown"
        click.echo(printable(f"{page.path}  ({page.source_system})"))
        click.echo(f"owner: {printable(owner)}{' (you)' if page.owned else ''}")
        if page.gone_on:
            click.echo(f"The source said on {page.gone_on} that it is no longer there.")
        if page.receipts:
            click.echo(f"used by: {page.receipts.sentence()}")
        if page.profile:
            _print_profile(page.profile)
        _print_lists(page)
    people = [(one.name, one.department, one.login, one.reason) for one in page.whom_to_ask]
    _print_list("whom to ask", ("name", "department", "login", "why"), people)


def _print_profile(profile: ProfileView) -> None:
    for sheet in profile.sheets:
        shape = f"{sheet.rows:,} rows, {sheet.width:,} columns" if sheet.width else f"{sheet.rows:,} lines"
        click.echo(f"\n{' '.join(filter(None, (profile.kind, sheet.name)))}: {shape}")
        if sheet.columns:
            header = ("column", "type", "missing", "distinct", "values")
            rows = [
                (
                    one.name,
                    one.kind,
                    f"{one.missing:,}",
                    "many" if one.distinct is None else f"{one.distinct:,}",
                    _range(one),
                )
                for one in sheet.columns[:SHOWN]
            ]
            _indented(table(header, rows), len(sheet.columns) - SHOWN)
        else:
            _indented([printable(row[0]) for row in sheet.first if row], sheet.rows - len(sheet.first))
    if not profile.sheets:
        click.echo(f"\n{profile.kind}: {printable(profile.reason)}")


def _column(column: ColumnView) -> tuple[str, ...]:
    distinct = "many" if column.distinct is None else f"{column.distinct:,}"
    return column.name, column.kind, f"{column.missing:,}", distinct, _range(column)


def _range(column: ColumnView) -> str:
    if column.values:
        return ", ".join(f"{value} ({count:,})" for value, count in column.values[:5])
    return f"{column.least} to {column.greatest}" if column.least or column.greatest else ""


def _print_lists(page: FilePage) -> None:
    versions = [
        (
            version.sha256[:DIGITS],
            version.label,
            _moment(version.modified or version.first_read),
            version.author,
            human_bytes(version.size),
            ", ".join(version.readers),
            "erased" if version.erased else "backed up" if version.backed_up else "",
        )
        for version in page.versions
    ]
    _print_list("versions", ("sha256", "label", "since", "author", "size", "read by", ""), versions)
    copies = [(copy.path or copy.name, copy.owner, copy.sha256[:DIGITS]) for copy in page.copies]
    _print_list("copies", ("file", "owner", "sha256"), copies)
    _print_list("in folders", ("folder", "as"), [(one.path or one.name, one.member_path) for one in page.file_sets])
    _print_list("files in it", ("file", "as"), [(one.path or one.name, one.member_path) for one in page.members])
    grants = [(one.grantee, one.kind, one.level, one.scope, _moment(one.until)) for one in page.grants]
    _print_list("may open it", ("who", "", "level", "scope", "until"), grants)


def _print_list(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if rows:
        told = [place for place, _ in enumerate(header) if any(row[place] for row in rows)]
        cells = [[row[place] for place in told] for row in rows[:SHOWN]]
        click.echo(f"\n{title}")
        _indented(table([header[place] for place in told], cells), len(rows) - SHOWN)


def _indented(lines: Iterable[str], more: int) -> None:
    for line in lines:
        click.echo(f"  {line}")
    if more > 0:
        click.echo(f"  … and {more:,} more; --json has them.")


def _moment(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else ""


def _tell(found: Difference) -> None:
    if found.kind == "opaque":
        click.echo("They have the same bytes." if found.same else f"Only the bytes can be compared: {found.why}.")
    elif found.kind == "text":
        click.echo(f"lines: {found.lines_added:,} added, {found.lines_removed:,} removed")
        for line in found.unified:
            click.echo(printable(line))
        if found.cut:
            click.echo("… the rest is too long to show.")
    elif found.alike:
        click.echo("The tables say the same; only how they were saved differs.")
    else:
        for name, what in ((found.sheets_added, "added"), (found.sheets_removed, "removed")):
            if name:
                click.echo(printable(f"sheets {what}: {', '.join(name)}"))
        for sheet in found.sheets:
            _tell_sheet(sheet)


def _tell_sheet(sheet: SheetDifference) -> None:
    by = f", found again by {' and '.join(sheet.key)}" if sheet.key else ""
    title = f"{sheet.name}: " if sheet.name else ""
    rows = f"rows: {sheet.rows_added:,} added, {sheet.rows_removed:,} removed, {sheet.rows_changed:,} changed{by}"
    click.echo(printable(f"{title}{rows}"))
    for names, what in ((sheet.columns_added, "added"), (sheet.columns_removed, "removed")):
        if names:
            click.echo(printable(f"columns {what}: {', '.join(names)}"))
    for change in sheet.changed[:SHOWN]:
        cells = "; ".join(
            f"{name} {before or '(nothing)'} → {after or '(nothing)'}" for name, before, after in change.cells
        )
        click.echo(printable(f"~ {', '.join(change.key)}: {cells}"))
    _tell_rows("+", sheet.new_columns, sheet.added, sheet.rows_added)
    _tell_rows("-", sheet.old_columns, sheet.removed, sheet.rows_removed)
    if sheet.rows_changed > SHOWN:
        click.echo(f"… {sheet.rows_changed - SHOWN:,} more rows changed.")


def _tell_rows(sign: str, columns: Sequence[str], rows: Sequence[Sequence[str]], total: int) -> None:
    if not rows:
        return
    for line in table(("", *columns), [(sign, *row) for row in rows[:SHOWN]]):
        click.echo(line)
    if total > SHOWN:
        click.echo(f"… {total - SHOWN:,} more.")
