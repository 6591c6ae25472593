"""What sources and directories know already, brought into the catalogue."""

from __future__ import annotations

from typing import Literal

from data_platform.settings import settings


def sync(what: Literal["sharing"], *, full: bool = False) -> dict[str, object]:
    """Bring what others know up to date; return counts, and what could not be asked with the reason.

    The scheduler does the same by itself.

    Parameters
    ----------
    what
        ``sharing``: permissions, names, versions and gone files of everything at Microsoft 365
        that is followed, and what its own log tells of sharing and reads.
    full
        Ask for everything, not only for what has changed since the last time.

    Raises
    ------
    SettingsError
        If no application is configured, or `what` is nothing that can be synced.
    SourceError
        If the source cannot be asked at all.
    """
    from populate.pipeline import bind_all
    from populate.sharing.sync import sync_sharing

    _check(what)
    return sync_sharing(bind_all(settings()), settings(), full=full).as_dict()


def _check(what: str) -> None:
    from data_platform.errors import SettingsError

    if what != "sharing":
        raise SettingsError(f"{what!r} is nothing that can be synced. Name 'sharing'.")


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
