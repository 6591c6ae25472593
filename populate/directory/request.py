"""Syncing people as somebody asks for it, or as the settings say when it is due."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, NamedTuple

from data_platform.errors import SettingsError
from data_platform.settings import Settings
from populate.directory.feeds import Position, positions
from populate.directory.picture import Picture
from populate.directory.sync import Say, SyncResult, take_in
from populate.directory.telling import Teller
from populate.work.waits import waiting_together
from schemas.binding import Binding

Origin = Literal["entra", "ldap", "csv"]
Read = Callable[[Mapping[str, Position]], Picture]

EVERY = timedelta(hours=23)
"""The scheduler looks every hour, so that a day on which a directory did not answer is made up for."""


class Request(NamedTuple):
    """What somebody asks for; an empty origin is that of the settings."""

    origin: Origin | Literal[""] = ""
    path: Path | None = None
    full: bool = False
    allow_drop: bool = False
    dry_run: bool = False


def sync_people(binding: Binding, request: Request, say: Say | None = None) -> SyncResult:
    """Take in what a directory says.

    Parameters
    ----------
    say
        Is told what is being done; default: a line now and then on standard error.

    Raises
    ------
    SettingsError
        If neither the request nor the settings say where people come from.
    DirectoryError, SourceError
        If it does not answer in full, or says what is not believed.
    """
    teller = Teller()
    told = say or teller
    origin, read = _reader(binding.settings, request, told)
    try:
        with waiting_together(binding):
            return take_in(binding, origin, read, allow_drop=request.allow_drop, dry_run=request.dry_run, say=told)
    finally:
        teller.close()


def is_due(binding: Binding, settings: Settings, now: datetime | None = None) -> bool:
    """Tell whether the directory of the settings was read a day ago or earlier, or never."""
    beginning = {"entra": "entra/", "ldap": "ldap/", "csv": "csv"}.get(settings.directory.source)
    if beginning is None:
        return False
    read = [place.at for feed, place in positions(binding).items() if feed.startswith(beginning)]
    return max(read, default=datetime.min) + EVERY <= (now or datetime.now(UTC).replace(tzinfo=None))


def _reader(settings: Settings, request: Request, say: Say) -> tuple[Origin, Read]:
    origin = request.origin or ("csv" if request.path else settings.directory.source)
    if request.path and origin != "csv":
        raise SettingsError("Only `--from csv` takes a file. Leave the path out.")
    if origin == "csv":
        from populate.directory.csv_file import read_csv

        path = request.path or settings.directory.csv
        if path is None:
            raise SettingsError("Name the table, as `data-platform sync people --from csv people.csv`.")
        return "csv", lambda positions: read_csv(path, settings.realm)
    if origin == "ldap":
        from populate.directory.ldap import read_ldap

        return "ldap", lambda positions: read_ldap(settings, say)
    if origin == "entra":
        from populate.directory.entra import read_entra

        return "entra", lambda positions: read_entra(settings, positions, full=request.full, say=say)
    raise SettingsError(
        "Say where people come from: set directory.source, or `data-platform sync people --from csv people.csv`."
    )
