"""Whether Microsoft 365 can be asked from here, as the person and as the worker, and what to do if not."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.errors import DataPlatformError, SourceTimeout, SourceUnavailable
from data_platform.finding import Finding
from data_platform.redact import redact_text
from data_platform.settings import Settings
from readers.microsoft365.access import ApplicationTokens
from readers.microsoft365.accounts import Accounts
from readers.microsoft365.clouds import places
from readers.microsoft365.sign_in import PersonTokens


def checkup(settings: Settings) -> Iterator[Finding]:
    """Examine what of Microsoft 365 is configured; asks the login service, and nothing of people's files.

    Raises
    ------
    MissingExtra
        If the library that signs in is not installed.
    """
    given = settings.microsoft365
    if not given.client_id:
        yield Finding("microsoft365", "note", "not configured (microsoft365.client_id): OneDrive links cannot be read")
        return
    where = places(settings)
    yield Finding("microsoft365", "ok", f"application {given.client_id}, {where.graph}")
    yield from _people(settings)
    if given.certificate is not None or given.client_secret.get_secret_value():
        yield _worker(settings)


def _people(settings: Settings) -> Iterator[Finding]:
    from readers.microsoft365.token_cache import keeper

    account = Accounts(settings).current()
    if account is None:
        yield Finding(
            "microsoft365 sign-in", "note", "nobody is signed in", "Run `data-platform login` to read as yourself."
        )
        return
    try:
        PersonTokens(settings, account)(False)
    except DataPlatformError as error:
        yield _failed("microsoft365 sign-in", error)
    else:
        yield Finding("microsoft365 sign-in", "ok", f"{account.name}, kept in {keeper(settings).name}")


def _worker(settings: Settings) -> Finding:
    try:
        ApplicationTokens(settings, f"{places(settings).resource}/.default")(False)
    except DataPlatformError as error:
        return _failed("microsoft365 worker", error)
    how = "secret" if settings.microsoft365.certificate is None else "certificate"
    return Finding("microsoft365 worker", "ok", f"signs in with its {how}")


def _failed(name: str, error: DataPlatformError) -> Finding:
    if isinstance(error, SourceUnavailable | SourceTimeout):
        return Finding(
            name, "note", redact_text(str(error)), "Run `data-platform doctor` again when the network is there."
        )
    return Finding(name, "todo", redact_text(str(error)), "See docs/how-to/microsoft365.md.")
