"""Retention: rules, holds, and having go what nothing keeps."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from dashboard.display import human_bytes
from data_platform.cli.output import json_option, print_json, printable

if TYPE_CHECKING:
    from populate.retention.retaining import Retained

_source = click.option("--source", metavar="SYSTEM", default="", help="Only files of this source system.")
_department = click.option("--department", metavar="NAME", default="", help="Only files whose owner works there.")
_tag = click.option("--tag", metavar="TAG", default="", help="Only files with this tag.")


@click.command()
@click.option("--dry-run", is_flag=True, help="Change nothing; tell what would be done.")
@json_option
def retain(dry_run: bool, as_json: bool) -> None:
    """Mark backups that no rule keeps, and remove those marked for `store.quarantine_days`.

    Have it run every day, by cron or as a CronJob, with the login of a steward. Without rules nothing is
    removed. It may be stopped at any time, and run beside workers. Sources keep their files.

    \b
    Example:
        data-platform retain --dry-run
    """
    from data_platform import face

    done = face.retain(dry_run=dry_run)
    if as_json:
        print_json([asdict(one) for one in done])
        return
    for one in done:
        _print(one, dry_run)


def _print(done: Retained, dry_run: bool) -> None:
    click.echo(f"{printable(done.store)}{', nothing is changed' if dry_run else ''}:")
    marked, waiting, swept = map(human_bytes, (done.marked_bytes, done.waiting_bytes, done.swept_bytes))
    would = "would be " if dry_run else "were "
    click.echo(f"  {done.marked:,} contents of {marked} {would}marked, {done.spared:,} {would}spared")
    click.echo(f"  {done.waiting:,} of {waiting} wait in quarantine")
    click.echo(f"  {done.swept:,} of {swept} {would}swept")
    if done.doubtful:
        click.echo("  Most objects are unknown to the catalogue, and were left alone: run `data-platform rebuild`.")
    elif not dry_run:
        click.echo(f"  {done.removed:,} objects were removed, {done.repacked:,} of them packs written anew")
    click.echo(f"  {done.strays:,} objects have no rows")
    if done.locked:
        click.echo(f"  {done.locked:,} are locked by the store, and stay for now: they are tried again")


@click.command()
@json_option
def retention(as_json: bool) -> None:
    """List the rules of retention and the legal holds in force.

    \b
    Example:
        data-platform retention
    """
    from data_platform import face

    found = face.retention()
    if as_json:
        print_json(asdict(found))
        return
    for rule in found.rules:
        click.echo(f"rule {rule.number}: {printable(str(rule))}")
    for one in found.holds:
        click.echo(f"hold {one.number}: {printable(str(one))}")
    if not (found.rules or found.holds):
        click.echo("Everything is kept. Add a rule: data-platform add-rule versions 10")


@click.command("add-rule")
@click.argument("keeps", type=click.Choice(["everything", "versions", "days"]))
@click.argument("amount", type=int, default=0)
@_source
@_department
@_tag
def add_rule(keeps: str, amount: int, **scope: Any) -> None:
    """Keep certain files' backups for so long: the latest AMOUNT versions, or AMOUNT days after the last access.

    Of several rules for a file the most generous one decides; a file without a rule is kept for ever. See
    what it does with `data-platform retain --dry-run`.

    \b
    Example:
        data-platform add-rule versions 10
        data-platform add-rule days 730 --department Imaging
        data-platform add-rule everything --tag submitted
    """
    from data_platform import face

    rule = face.add_rule(keeps, amount, **scope)
    click.echo(f"rule {rule.number}: {printable(str(rule))}")


@click.command("end-rule")
@click.argument("number", type=int)
def end_rule(number: int) -> None:
    """End a rule, by the NUMBER that `data-platform retention` shows.

    \b
    Example:
        data-platform end-rule 2
    """
    from data_platform import face

    face.end_rule(number)
    click.echo(f"Rule {number} holds no more.")


@click.command()
@click.option("--reason", required=True, metavar="TEXT", help="Why; it stays in the catalogue.")
@click.option("--sha256", metavar="SHA256", default="", help="Only this content.")
@click.option("--below", metavar="PATH", default="", help="Only this file, or what is or was below this folder.")
@click.option("--owner", metavar="PERSON", default="", help="Only files of this person, now or ever.")
@_source
@_department
@_tag
def hold(reason: str, **scope: Any) -> None:
    """Have backups kept whatever the rules say (a legal hold); without a choice, all of them.

    Nothing under a hold is erased either, before it is lifted.

    \b
    Example:
        data-platform hold --reason "case 17" --owner amy
        data-platform hold --reason "audit 2026" --below /shares/screening
    """
    from data_platform import face

    made = face.hold(reason, **scope)
    click.echo(f"hold {made.number}: {printable(str(made))}")


@click.command()
@click.argument("number", type=int)
def release(number: int) -> None:
    """Lift a legal hold, by the NUMBER that `data-platform retention` shows.

    \b
    Example:
        data-platform release 1
    """
    from data_platform import face

    face.release(number)
    click.echo(f"Hold {number} is lifted.")
