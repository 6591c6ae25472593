"""What the product is worth to people, and the report of it."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("hours", type=float)
def saved(hours: float) -> None:
    """Tell how many hours this product saved you in the last week.

    The median of everybody's answers is in the monthly report, once five people have answered.
    A number below 0 says that it cost you time; write it after `--`.

    \b
    Example:
        data-platform saved 1.5
        data-platform saved -- -0.5
    """
    from data_platform import face

    face.saved(hours)
    click.echo("Noted. Thank you.")


@click.command()
@click.option(
    "--month",
    metavar="YYYY-MM",
    default="",
    help="Default: that of the newest snapshot; by mail, the last month that is over.",
)
@click.option("--to", metavar="FILE", type=click.Path(path_type=Path), help="A file that ends in .html or .pdf.")
@click.option("--mail", is_flag=True, help="Send that of a month that is over to the subscribers, to each once.")
def report(month: str, to: Path | None, mail: bool) -> None:
    """Write the monthly report of how data is shared, from the last snapshot of the month.

    One file that needs nothing else; nothing is shown of fewer than five people. Without --to and --mail
    it is written into this folder as HTML.

    \b
    Example:
        data-platform report
        data-platform report --month 2026-11 --to november.pdf
        data-platform report --mail
    """
    from data_platform import face

    if to or not mail:
        click.echo(str(face.report(month, to)))
    if mail:
        sent, refused, unknown, without = face.mail_report(month)
        click.echo(
            f"{sent:,} sent, {refused:,} refused, {unknown:,} may have gone out, {without:,} without an address."
        )


@click.command()
@click.option("--end", is_flag=True, help="Get it no more.")
def subscribe(end: bool) -> None:
    """Get the monthly report by mail.

    \b
    Example:
        data-platform subscribe
        data-platform subscribe --end
    """
    from data_platform import face

    on = face.subscribe(end=end)
    click.echo("The monthly report will come by mail." if on else "The monthly report will not come any more.")
