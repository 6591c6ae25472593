"""Which people are signed in on this machine, without their tokens: names and ids, to choose and to record by."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from data_platform.errors import SignInNeeded
from data_platform.settings import Settings
from readers.source import Login

_FILE = "accounts.json"


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who is signed in.

    Attributes
    ----------
    tenant, object_id
        Ids, which stay when people or companies are renamed.
    name
        The name to sign in with (UPN).
    home
        How MSAL tells accounts apart.
    claims
        What the next sign-in has to prove, as JSON; empty if nothing in particular.
    """

    tenant: str
    object_id: str
    name: str
    home: str
    claims: str = ""

    @property
    def login(self) -> Login:
        """Who this is in the catalogue."""
        return Login(f"entra/{self.tenant}", self.object_id, self.name)


class Accounts:
    """The list of them in a home; the first is the one who reads unless the settings name another."""

    def __init__(self, settings: Settings) -> None:
        self._wanted = settings.microsoft365.account.casefold()
        self._client = settings.microsoft365.client_id
        self._file: Path = settings.home / "microsoft365" / _FILE
        self._seen: tuple[tuple[int, int], list[Account]] | None = None

    def all(self) -> list[Account]:
        """Return everybody who is signed in to the application of the settings."""
        try:
            state = self._file.stat()
            mark = (state.st_mtime_ns, state.st_ino)
            if self._seen is None or self._seen[0] != mark:
                self._seen = mark, self._read()
            return list(self._seen[1])
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return []

    def current(self) -> Account | None:
        """Return who reads, None if nobody is signed in."""
        everybody = self.all()
        if not self._wanted:
            return everybody[0] if everybody else None
        return next((one for one in everybody if self._wanted in {one.name.casefold(), one.object_id}), None)

    def needed(self) -> Account:
        """Return who reads.

        Raises
        ------
        SignInNeeded
            If nobody is signed in, or not the one whom the settings name.
        """
        if (found := self.current()) is not None:
            return found
        whom = f"{self._wanted} is not" if self._wanted else "Nobody is"
        raise SignInNeeded(f"{whom} signed in to Microsoft 365 on this machine. Run `data-platform login` once.")

    def named_instead(self, account: Account) -> str:
        """Return whom the settings name as the one who reads if it is not `account`, else an empty text."""
        return "" if self._wanted in {"", account.name.casefold(), account.object_id} else self._wanted

    def put_first(self, account: Account) -> None:
        """Add an account, or what changed about it, and let it be the one who reads."""
        self._change(lambda known: [account, *(one for one in known if not _same(one, account))])

    def demand(self, account: Account, claims: str) -> None:
        """Remember what the next sign-in of an account has to prove."""
        self._change(lambda known: [replace(one, claims=claims) if _same(one, account) else one for one in known])

    def remove(self, account: Account) -> None:
        self._change(lambda known: [one for one in known if not _same(one, account)])

    def _read(self) -> list[Account]:
        return _listed(json.loads(self._file.read_text(encoding="utf-8")), self._client)

    def _change(self, change: Callable[[list[Account]], list[Account]]) -> None:
        """Make of what is listed what is to be listed, while nobody else does: a sign-in must not be lost."""
        from readers.microsoft365.token_cache import FileKeeper, locked

        with locked(self._file.with_suffix(".lock")):
            keeper = FileKeeper(self._file)
            try:
                held = dict(json.loads(keeper.load() or "{}"))
            except (ValueError, TypeError):  # damaged: what is signed in now counts
                held = {}
            try:
                known = _listed(held, self._client)
            except (TypeError, AttributeError):
                known = []
            held[self._client] = [asdict(account) for account in change(known)]
            keeper.save(json.dumps(held, indent=1))
            self._seen = None


def _listed(held: Mapping[str, Any], client: str) -> list[Account]:
    return [Account(**entry) for entry in held.get(client, [])]


def _same(one: Account, other: Account) -> bool:
    return (one.tenant, one.object_id) == (other.tenant, other.object_id)
