"""The conversation about duplicates: asking, answering, and what it saved."""

from __future__ import annotations

from dataclasses import asdict

import click

from data_platform.cli.output import json_option, print_json, print_table


@click.command()
@click.option("--dry-run", is_flag=True, help="Send nothing: show whom would be asked what.")
@click.option("--limit", type=click.IntRange(1), help="Mails to send, at most.")
@json_option
def ask(dry_run: bool, limit: int | None, as_json: bool) -> None:
    """Ask the owners of duplicates by mail whether they still need their copies.

    Nobody is asked twice about the same bytes; who does not answer is reminded a few times.
    Running it again, or killing it, never sends a mail twice.

    \b
    Example:
        data-platform ask --dry-run
        data-platform ask --limit 100
    """
    from data_platform import face

    done = face.ask(limit=limit, dry_run=dry_run)
    if as_json:
        print_json(asdict(done))
        return
    if done.mails:
        cells = [(mail.person, mail.address, mail.subject, f"{mail.saving:,}", mail.state) for mail in done.mails]
        print_table(("person", "address", "subject", "bytes", "state"), cells)
    else:
        click.echo("Nobody is to be asked now.")
    for reason, number in sorted(done.left_out.items()):
        click.echo(f"Left out, {reason}: {number}")
    if done.unknown:
        click.echo(f"Of {done.unknown} mails it is not known whether they went out; they are not sent again.")
    if done.stopped:
        raise click.ClickException(done.stopped)


@click.command()
@click.argument("token")
@click.argument("choice", type=click.Choice(["keep", "canonical", "withdraw", "never"]))
def answer(token: str, choice: str) -> None:
    """Answer a question about a duplicate; TOKEN is the link in the mail, or what stands after token= in it.

    keep: the copy is needed; canonical: it is the one that everybody should use; withdraw: its owner
    will remove it; never: do not ask again. The latest answer counts. Nothing is deleted by it.

    \b
    Example:
        data-platform answer "https://catalogue.example.org/?token=…" keep
    """
    from data_platform import face

    face.answer(token, choice)
    click.echo("Noted, thank you.")


@click.command()
@json_option
def ledger(as_json: bool) -> None:
    """Print the bytes that people saved by removing duplicates, by month and department.

    A copy counts once it is seen to be gone. Departments of fewer than five people are not
    shown, nor what would give them away.

    \b
    Example:
        data-platform ledger
        data-platform ledger --json
    """
    from data_platform import face

    found = face.ledger()
    if as_json:
        print_json(asdict(found))
        return
    if found.entries:
        rows = [(entry.month, entry.department, str(entry.copies), f"{entry.bytes_saved:,}") for entry in found.entries]
        print_table(("month", "department", "copies", "bytes saved"), rows)
    click.echo(f"Saved: {found.bytes_saved:,} bytes. Promised and not seen gone: {found.bytes_promised:,} bytes.")
    if found.hidden:
        click.echo(f"{found.hidden} departments are not shown, so that nobody can be told from them.")
