"""What sources and directories know already, brought into the catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from data_platform.settings import settings

if TYPE_CHECKING:
    from populate.directory.request import Origin


def sync(
    what: Literal["people", "sharing"],
    *,
    full: bool = False,
    origin: Origin | Literal[""] = "",
    path: Path | str | None = None,
    allow_drop: bool = False,
    dry_run: bool = False,
) -> dict[str, object]:
    """Bring what others know up to date; return counts, and what could not be asked with the reason.

    The scheduler does the same by itself.

    Parameters
    ----------
    what
        ``people``: who works here, in which departments and groups, as a directory tells.
        ``sharing``: permissions, names, versions and gone files of everything at Microsoft 365
        that is followed, and what its own log tells of sharing and reads.
    full
        Ask for everything, not only for what has changed since the last time.
    origin
        Of people: ``entra``, ``ldap`` or ``csv``; default: ``directory.source`` of the settings.
    path
        Of people from a table: the file.
    allow_drop
        Of people: believe it even if more have left at once than ``directory.max_drop`` allows.
    dry_run
        Of people: change nothing, and return what would be new.

    Raises
    ------
    SettingsError
        If it is not configured, or `what` is nothing that can be synced.
    SourceError
        If Microsoft 365 cannot be asked at all.
    DirectoryError
        If a directory does not answer in full, or says what is not believed.
    """
    _check(what)
    if what == "people":
        from populate.directory.request import Request, sync_people
        from populate.pipeline import bind_all

        request = Request(origin, Path(path) if path else None, full, allow_drop, dry_run)
        return sync_people(bind_all(settings()), request).as_dict()
    if origin or path or allow_drop or dry_run:
        _refuse("Only people are synced from somewhere, or without being written. Leave that out for sharing.")
    from populate.pipeline import bind_all
    from populate.sharing.sync import sync_sharing

    return sync_sharing(bind_all(settings()), settings(), full=full).as_dict()


def _check(what: str) -> None:
    if what not in ("people", "sharing"):
        _refuse(f"{what!r} is nothing that can be synced. Name 'people' or 'sharing'.")


def _refuse(reason: str) -> None:
    from data_platform.errors import SettingsError

    raise SettingsError(reason)


def notices(*, address: str = "127.0.0.1", port: int = 8511) -> None:
    """Take Microsoft 365's notices of changes until stopped, behind a server that speaks HTTPS for us.

    To be called in the main thread; SIGTERM and Ctrl-C stop it. Without it changes appear with
    the next look that the scheduler takes.

    Raises
    ------
    SettingsError
        If ``microsoft365.notify_key`` is missing, or nothing can listen there.
    """
    from populate.sharing.endpoint import serve_notices

    serve_notices(settings(), address, port, lambda port: print(f"Listening at http://{address}:{port}", flush=True))
