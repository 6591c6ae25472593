"""What the product is worth to people, and the report of it."""

from __future__ import annotations

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
