"""Signing in to source systems: once on each machine, silent afterwards."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from data_platform.errors import SignInNeeded, at_caller
from data_platform.settings import settings

if TYPE_CHECKING:
    from readers.microsoft365.accounts import Account
    from readers.microsoft365.standing import Standing

Show = Callable[[str], object]


def login(*, tenant: str = "", browser: bool = False, show: Show | None = None) -> Account:
    """Sign in to Microsoft 365 as yourself; your reads are recorded as yours from then on.

    Parameters
    ----------
    tenant
        Id or domain of the organisation whose files are to be read; the one of the settings unless
        given. Guests of another organisation name that one.
    browser
        Open a browser on this machine, instead of showing a code to enter in any browser.
    show
        Takes the sentence that says where to sign in; it is printed to standard error unless given.

    Raises
    ------
    SignInNeeded, AccessDenied
        If it was not completed, or refused.
    SettingsError
        If no application is configured.
    """
    with at_caller:
        from readers.microsoft365.sign_in import sign_in

        return sign_in(settings(), show or _print, tenant=tenant, browser=browser)


def logout(account: str = "", *, everybody: bool = False) -> list[Account]:
    """Forget a sign-in on this machine: the one in use, the one of that name or id, or all; return whose.

    Raises
    ------
    SignInNeeded
        If there is none.
    """
    with at_caller:
        from readers.microsoft365.accounts import Accounts
        from readers.microsoft365.sign_in import sign_out

        known = Accounts(settings())
        if everybody:
            gone = known.all()
        elif account:
            gone = [one for one in known.all() if account.casefold() in {one.name.casefold(), one.object_id}]
        else:
            gone = [one for one in (known.current(),) if one is not None]
        if not gone:
            raise SignInNeeded("Nobody of that name is signed in here. `data-platform whoami` tells who is.")
        for one in gone:
            sign_out(settings(), one)
        return gone


def whoami() -> Standing:
    """Return as whom reads are recorded here: of Microsoft 365, and of sources without a sign-in."""
    with at_caller:
        from readers.microsoft365.standing import standing

        return standing(settings())


def _print(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
