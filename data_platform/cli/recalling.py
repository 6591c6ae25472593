"""Recalls: data that their owner says are wrong."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from data_platform.cli.output import json_option, print_json, printable

if TYPE_CHECKING:
    from populate.recall.looking import Recalled

MET = {
    "read": "You read these bytes",
    "holds": "You have a copy",
    "wrote": "A run of yours made a result of them",
    "result": "You read a result that was made of them",
}


@click.command()
@click.argument("about")
@click.option("--reason", help="What is wrong; everybody whom it concerns is told.")
@click.option("--version", default="", metavar="sha256:HEX", help="The wrong version; the one read last unless given.")
@click.option("--right", default="", metavar="sha256:HEX", help="The version of the same file to use instead.")
@click.option("--end", is_flag=True, help="Take a recall back: ABOUT is its id.")
def recall(about: str, reason: str | None, version: str, right: str, end: bool) -> None:
    """Recall a version of a file of yours that is wrong.

    Everybody who read these bytes, has a copy of them, or read what was made of them gets a notice, and whoever
    reads them from now on a warning. ABOUT is a link or path. Nothing is deleted.

    \b
    Example:
        data-platform recall /shares/screening/plate_12.csv --reason "wrong calibration"
        data-platform recall /shares/screening/plate_12.csv --version sha256:9f86d081 --right sha256:60303ae2 \\
            --reason "columns were swapped"
        data-platform recall 019a1b2c3d4e --end
    """
    from data_platform import face

    if end:
        click.echo(f"Recall {face.end_recall(about)[:12]} is taken back.")
        return
    if not reason:
        raise click.UsageError("A recall needs a reason: --reason TEXT")
    made = face.recall(about, reason, version=version, right=right)
    click.echo(f"Recalled ({made[:12]}). `data-platform recalls` tells who has taken note.")


@click.command()
@click.option("--mail", is_flag=True, help="Send the mails that are due, as a worker; show nothing.")
@json_option
def recalls(mail: bool, as_json: bool) -> None:
    """List the recalls that concern you, and your own with how many have taken note.

    Notices are raised by a worker or scheduler. With `mail.automatic` the scheduler sends them by mail too,
    else --mail does; nobody is sent a recall twice.

    \b
    Example:
        data-platform recalls
        data-platform recalls --json
        data-platform recalls --mail
    """
    from data_platform import face

    if mail:
        _mail(as_json)
        return
    found = face.recalls()
    if as_json:
        print_json([asdict(recalled) for recalled in found])
        return
    if not found:
        click.echo("No recall concerns you.")
    for recalled in found:
        for line in _lines(recalled):
            click.echo(printable(line))


@click.command()
@click.argument("recall_id")
def acknowledge(recall_id: str) -> None:
    """Tell the owner that you have taken note of a recall.

    RECALL_ID is what `data-platform recalls` shows; its first 8 digits are enough.

    \b
    Example:
        data-platform acknowledge 019a1b2c3d4e
    """
    from data_platform import face

    click.echo(f"Noted, thank you ({face.acknowledge(recall_id)[:12]}).")


def _mail(as_json: bool) -> None:
    from data_platform import face

    done = face.mail_recalls()
    if as_json:
        print_json(asdict(done))
    else:
        click.echo(f"{done.noticed} new notices. {done.sent} mails sent, {done.refused} refused.")
        if done.unknown:
            click.echo(f"Of {done.unknown} mails it is not known whether they went out; they are not sent again.")
        if done.without_address:
            click.echo(f"{done.without_address} people have no address; they see it with `data-platform recalls`.")
    if done.stopped:
        raise click.ClickException(done.stopped)


def _lines(recalled: Recalled) -> list[str]:
    """Return what is told of a recall, a line each."""
    name = recalled.file or "a file that you do not know"
    by = "by you" if recalled.mine else f"by {recalled.owner or 'its owner'}"
    ended = f", taken back {recalled.ended_at:%Y-%m-%d}" if recalled.ended_at else ""
    lines = [f"{recalled.recall_id[:12]}  {recalled.recalled_at:%Y-%m-%d}  {name}, recalled {by}{ended}"]
    lines.append(f"    reason: {recalled.reason}")
    if recalled.sha256:
        lines.append(f"    wrong:  sha256:{recalled.sha256}")
    if recalled.right:
        lines.append(f"    right:  sha256:{recalled.right}")
    if recalled.concern:
        noted = f"acknowledged {recalled.acknowledged_at:%Y-%m-%d}" if recalled.acknowledged_at else "not acknowledged"
        met = f" ({recalled.met})" if recalled.met else ""
        lines.append(f"    {MET[recalled.concern]}{met}; {noted}.")
    if recalled.mine:
        waiting = f"; not yet: {', '.join(recalled.waiting)}" if recalled.waiting else ""
        lines.append(f"    {recalled.acknowledged} of {recalled.told} people have taken note{waiting}.")
    return lines
