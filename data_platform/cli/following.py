"""Files that somebody follows, and searches that they want to make again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

import click

from data_platform.cli.output import json_option, print_json, print_table


@click.command()
@click.argument("file")
@click.option("--webhook", metavar="URL", default="", help="Send a signed request there, not a mail.")
@click.option("--end", is_flag=True, help="Be told no more: by that webhook, or unless one is given in no way.")
def follow(file: str, webhook: str, end: bool) -> None:
    """Be told by mail, or a webhook, when a new version of a file appears.

    FILE is a link or path that you can open or have read.

    \b
    Example:
        data-platform follow lung.csv
        data-platform follow lung.csv --webhook https://hooks.example.org/data
        data-platform follow lung.csv --end
    """
    from data_platform import face

    face.follow(file, webhook=webhook, end=end)
    way = "by a request to that address" if webhook else "by mail"
    click.echo("You are told no more." if end else f"You will be told {way} when a new version appears.")


@click.command()
@click.option("--tell", is_flag=True, help="Tell everybody now what is due; the scheduler does so each minute.")
@json_option
def following(tell: bool, as_json: bool) -> None:
    """Show the files that you follow, and how far you were told.

    \b
    Example:
        data-platform following
        data-platform following --json
    """
    from data_platform import face

    if tell:
        told = face.tell_followers()
        click.echo(
            f"{told.mails} mails and {told.hooks} webhooks sent, {told.failed} failed, "
            f"{told.without_address} people without an address."
        )
        return
    found = face.following()
    if as_json:
        print_json([asdict(view) for view in found])
    elif not found:
        click.echo("You follow no file. `data-platform follow FILE` begins it.")
    else:
        rows = [
            (view.name, view.hook_url or view.way, f"{view.since:%Y-%m-%d}", str(view.told), view.failure)
            for view in found
        ]
        print_table(("file", "told by", "since", "versions told", "failure"), rows)


@click.command("webhook-key")
@click.argument("url")
def webhook_key(url: str) -> None:
    """Print the key that requests to a webhook are signed with, for the program that listens there.

    URL is the address. Requests are signed as Standard Webhooks says: libraries for that take the key as it is.
    It works where the setting subscriptions.webhook_key is known. Keep the key as you keep a password.

    \b
    Example:
        data-platform webhook-key https://hooks.example.org/data
    """
    from data_platform import face

    click.echo(face.webhook_key(url))


@click.command("save-search")
@click.argument("name")
@click.argument("text", required=False, default="")
@click.option("--facet", "facets", multiple=True, metavar="FACET=VALUE", help="Narrow it; may be given several times.")
def save_search(name: str, text: str, facets: tuple[str, ...]) -> None:
    """Save a search under a name. Nobody else sees it; one of that name is replaced.

    TEXT is what to search for.

    \b
    Example:
        data-platform save-search mine "lung cohort" --facet kind=csv
    """
    from data_platform import face

    face.save_search(name, text, _facets(facets))
    click.echo("Saved.")


@click.command()
@click.option("--forget", metavar="NAME", default="", help="Keep this one no longer.")
@json_option
def searches(forget: str, as_json: bool) -> None:
    """Show your saved searches.

    \b
    Example:
        data-platform searches
        data-platform searches --forget mine
    """
    from data_platform import face

    if forget:
        face.forget_search(forget)
        click.echo("Forgotten.")
        return
    found = face.searches()
    if as_json:
        print_json([asdict(view) for view in found])
    elif not found:
        click.echo('No saved searches. `data-platform save-search NAME "some words"` saves one.')
    else:
        rows = [
            (view.name, view.text, "; ".join(f"{k}={', '.join(v)}" for k, v in view.facets.items())) for view in found
        ]
        print_table(("name", "words", "narrowed to"), rows)


def _facets(pairs: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for pair in pairs:
        facet, sign, value = pair.partition("=")
        if not (sign and facet and value):
            raise click.UsageError(f"{pair!r} is no FACET=VALUE.")
        found.setdefault(facet, []).append(value)
    return found
