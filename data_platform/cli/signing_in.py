"""Signing in to source systems, signing out, and who is signed in."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from data_platform.cli.output import json_option, print_json, print_table, printable

if TYPE_CHECKING:
    from readers.microsoft365.accounts import Account


@click.command()
@click.option("--browser", is_flag=True, help="Open a browser here, instead of showing a code to enter in any.")
@click.option("--tenant", default="", metavar="DOMAIN", help="The organisation, if not the one of the settings.")
@json_option
def login(browser: bool, tenant: str, as_json: bool) -> None:
    """Sign in to Microsoft 365 as yourself, once on this machine.

    What you read from OneDrive, SharePoint and Teams is read with your own rights and recorded as
    read by you. Signing in as somebody else as well makes them the one who reads; the setting
    microsoft365.account chooses among several.

    \b
    Example:
        data-platform login
        data-platform login --browser --tenant contoso.com
    """
    from data_platform import face

    account = face.login(tenant=tenant, browser=browser, show=lambda text: click.echo(printable(text), err=True))
    if as_json:
        print_json(_shown(account))
    else:
        click.echo(f"Signed in as {printable(account.name)}.")


@click.command()
@click.argument("account", default="")
@click.option("--all", "everybody", is_flag=True, help="Everybody who is signed in.")
@json_option
def logout(account: str, everybody: bool, as_json: bool) -> None:
    """Forget a sign-in on this machine: the one in use, or that of ACCOUNT.

    \b
    Example:
        data-platform logout
        data-platform logout amy@contoso.com
    """
    from data_platform import face

    gone = face.logout(account, everybody=everybody)
    if as_json:
        print_json([_shown(one) for one in gone])
    else:
        click.echo(f"Signed out: {', '.join(printable(one.name) for one in gone)}.")


@click.command()
@json_option
def whoami(as_json: bool) -> None:
    """Tell as whom reads are recorded here.

    \b
    Example:
        data-platform whoami
    """
    from data_platform import face

    found = face.whoami()
    if as_json:
        signed_in = [_shown(one) for one in (found.microsoft365,) if one is not None]
        print_json(
            {
                "microsoft365": signed_in[0] if signed_in else None,
                "others": [_shown(one) for one in found.others],
                "elsewhere": {"login": found.elsewhere[0], "known_by": found.elsewhere[1]},
            }
        )
        return
    rows = [("in use", one) for one in (found.microsoft365,) if one is not None]
    rows += [("signed in", one) for one in found.others]
    if rows:
        header = ("microsoft365", "tenant", "object id", "")
        print_table(header, [(one.name, one.tenant, one.object_id, how) for how, one in rows])
    else:
        click.echo("Nobody is signed in to Microsoft 365. Run `data-platform login`.")
    click.echo(f"Other sources: {found.elsewhere[0]} (by {found.elsewhere[1]})")


def _shown(account: Account) -> dict[str, str]:
    return {name: value for name, value in asdict(account).items() if name in {"name", "tenant", "object_id"}}
