"""What the rows tell about the organisation."""

from __future__ import annotations

from datetime import datetime

import click

from data_platform.cli.output import json_option, print_json, print_table


@click.command()
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="Last day that figures look at, UTC; default: today.")
@json_option
def snapshot(day: datetime | None, as_json: bool) -> None:
    """Fix what is known now and tell from it how far departments share with each other.

    Departments of fewer than five people are not shown, nor what would give them away. Of snapshots near
    each other one is shown for all, as their difference would tell what single people do. A day that
    has not begun is refused; one of today knows a part of the day only, and does not count as the
    day's own, which is taken by itself once the day is over.

    \b
    Example:
        data-platform snapshot
        data-platform snapshot --day 2026-06-30 --json
    """
    from data_platform import face
    from populate.insight.publish import published

    number = face.snapshot(None if day is None else day.date())
    shown = published(number)
    visible = shown.departments.dropna(subset=["people"]) if len(shown.departments) else shown.departments
    rows = [{str(name): value for name, value in row.items()} for row in visible.to_dict("records")]
    if as_json:
        print_json(
            {
                "snapshot": number,
                "shown": shown.snapshot_no,
                "sentence": shown.sentence,
                "departments": rows,
                "hidden": len(shown.hidden),
            }
        )
        return
    stands = "" if shown.snapshot_no == number else f" Snapshot {shown.snapshot_no} ({shown.day}) stands for it:"
    click.echo(f"Snapshot {number}.{stands} {shown.sentence}")
    if rows:
        cells = [
            (row["department"], f"{row['people']:.0f}", f"{row['given']:.0f}", f"{row['received']:.0f}") for row in rows
        ]
        print_table(("department", "people", "ties given", "ties received"), cells)
    if shown.hidden:
        click.echo(f"{len(shown.hidden)} departments are not shown, so that nobody can be told from them.")
