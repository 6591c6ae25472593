"""As whom the source asks: the person who is signed in, a worker's application, and what of each is known."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from data_platform.settings import Settings
from readers.microsoft365.access import as_person, as_worker, tenant_of_worker
from readers.microsoft365.accounts import Account, Accounts
from readers.microsoft365.graph import Graph
from readers.source import Login


@dataclass(frozen=True, slots=True)
class Session:
    """Graph, asked as somebody; `tenant` is where the ids of people that it tells belong to."""

    graph: Graph
    tenant: str


class Sessions:
    """The sessions of one process, made when they are needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._accounts = Accounts(settings)
        self._people: dict[tuple[str, str], Session] = {}
        self._worker: Session | None = None
        self._lock = threading.Lock()

    @property
    def _has_worker(self) -> bool:
        given = self._settings.microsoft365
        return given.certificate is not None or bool(given.client_secret.get_secret_value())

    def of_reader(self) -> Session:
        """Return the session of the person who is signed in, else of the application, for scripts without a person.

        Raises
        ------
        SignInNeeded
            If there is neither.
        """
        account = self._accounts.current()
        if account is None and self._has_worker and not self._settings.microsoft365.account:
            return self.of_worker()
        return self._of(account or self._accounts.needed())

    def of_worker(self) -> Session:
        """Return the session of the application, else of the person, whose own computer does the worker's work."""
        if not self._has_worker:
            return self._of(self._accounts.needed())
        with self._lock:
            self._worker = self._worker or Session(as_worker(self._settings), tenant_of_worker(self._settings))
            return self._worker

    def reader(self) -> Login | None:
        """Return who reads: the person, else the application."""
        account = self._accounts.current()
        if account is not None:
            return account.login
        if not self._has_worker or self._settings.microsoft365.account:
            return None
        client = self._settings.microsoft365.client_id.lower()
        return Login(f"entra/{tenant_of_worker(self._settings)}", client, client)

    def _of(self, account: Account) -> Session:
        key = (account.tenant, account.object_id)
        with self._lock:
            if key not in self._people:
                self._people[key] = Session(as_person(self._settings, account), account.tenant)
            return self._people[key]
