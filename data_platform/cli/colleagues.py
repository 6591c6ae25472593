"""Whom to ask, with whom to work together, and how far one lets oneself be found."""

from __future__ import annotations

from dataclasses import asdict

import click

from data_platform.cli.output import json_option, print_json

OUTCOMES = ("answered", "redirected", "silent")
CHOICES = ("closed", "known", "open")


@click.command()
@click.argument("about")
@click.option("--limit", default=5, show_default=True, type=click.IntRange(1, 100), help="People, at most.")
@json_option
def who(about: str, limit: int, as_json: bool) -> None:
    """Tell whom to ask about a file or a kind of data, why, and through whom.

    ABOUT is a link or path, or words of names of files, people, departments or scripts. Only files
    that you may know count, and those whose owner lets them be found, these without their names.

    \b
    Example:
        data-platform who "flow cytometry ITX_47213"
        data-platform who https://data.example.org/lung.csv --json
    """
    from data_platform import face

    found = face.who(about, limit=limit)
    if as_json:
        print_json([asdict(suggestion) for suggestion in found])
        return
    if not found:
        click.echo("Nobody is known for that.")
    for place, suggestion in enumerate(found, start=1):
        department = f", {suggestion.department}" if suggestion.department else ""
        click.echo(f"{place}. {suggestion.name}{department} ({suggestion.login})")
        click.echo(f"   {suggestion.reason}")
        if suggestion.route:
            click.echo(f"   {suggestion.route}")


@click.command()
@click.argument("person", required=False, default="")
@click.option("--new", is_flag=True, help="Only people who do not exchange files with the person yet.")
@click.option("--limit", default=10, show_default=True, type=click.IntRange(1, 100), help="People, at most.")
@json_option
def collaborators(person: str, new: bool, limit: int, as_json: bool) -> None:
    """Tell who works on the same data as a person, and why.

    PERSON is a login or a full name; you, unless given.

    \b
    Example:
        data-platform collaborators --new
        data-platform collaborators "Maria Rossi" --json
    """
    from data_platform import face

    found = face.collaborators(person, new=new, limit=limit)
    if as_json:
        print_json([asdict(collaborator) for collaborator in found])
        return
    if not found:
        click.echo("Nobody is known to use the same files.")
    for place, other in enumerate(found, start=1):
        department = f", {other.department}" if other.department else ""
        contact = "" if other.in_contact else ", not in contact yet"
        click.echo(f"{place}. {other.name}{department}{contact}\n   {other.reason}")


@click.command()
@click.argument("person")
@click.option("--outcome", type=click.Choice(OUTCOMES), help="What came of it, to be told afterwards.")
def asked(person: str, outcome: str | None) -> None:
    """Note down that you asked a colleague, or what came of it.

    Whoever is asked often is then suggested less often for a while, and whoever answers more often.
    PERSON is a login or a full name. What you asked about is not kept.

    \b
    Example:
        data-platform asked maria.rossi
        data-platform asked maria.rossi --outcome answered
    """
    from data_platform import face

    face.asked(person, outcome or "")
    click.echo("Noted." if outcome else "Noted. Tell what came of it with --outcome.")


@click.command()
@click.argument("choice", required=False, type=click.Choice(CHOICES))
def findable(choice: str | None) -> None:
    """Show or change how far colleagues are pointed to you.

    closed: never. known: because of files that the colleague may see. open: because of files that they
    may not see, too; they are told how many fit and no names, and what scripts you run.

    \b
    Example:
        data-platform findable
        data-platform findable closed
    """
    from data_platform import face

    click.echo(face.findable(choice or ""))
