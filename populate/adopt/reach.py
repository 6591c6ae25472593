"""Which of the roots that are taken in can be read from here: a disk of another machine cannot."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from data_platform.errors import DataPlatformError, MissingExtra, SourceError, SourceTimeout, SourceUnavailable
from data_platform.settings import Settings
from readers.registry import source_of_kind

RECHECK_SECONDS = 60.0  # before a root is asked for again

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Origin:
    """The root that files are below, and the rates (0: any) at which they may be taken."""

    kind: str
    system: str
    item_id: str
    url: str
    files_per_second: float = 0.0
    bytes_per_second: float = 0.0


class LeftToOthers(DataPlatformError):
    """A root went out of reach while a batch was in hand; the job is free again at once (`queue.INTERRUPTED`)."""


def ask_for_root(settings: Settings, origin: Origin) -> None:
    """Have the source show the root.

    Raises
    ------
    SourceUnavailable, SourceTimeout
        If it cannot be reached from here, or is another one on this machine.
    """
    try:
        found = source_of_kind(origin.kind, settings).resolve(origin.url)
    except (SourceUnavailable, SourceTimeout):
        raise
    except (SourceError, MissingExtra) as error:
        raise SourceUnavailable(
            f"{origin.url} cannot be reached from here ({error}) Mount it, or run a worker where it is."
        ) from error
    if (found.source_system, found.is_folder) != (origin.system, True):
        raise SourceUnavailable(
            f"{origin.url} is {found.source_system} on this machine and not {origin.system}. "
            "Mount it here, or run a worker where it is."
        )


class Reach:
    """Remembers which roots can be read with these settings; each is asked for once a minute at most.

    Parameters
    ----------
    settings
        Whose credentials and disks count.
    clock
        Monotonic, in seconds.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._asked: dict[Origin, tuple[float, bool]] = {}

    def has(self, origin: Origin) -> bool:
        """Tell whether a root could be read when it was last asked for."""
        asked_at, reached = self._asked.get(origin, (0.0, True))
        if origin in self._asked and self._clock() < asked_at + RECHECK_SECONDS:
            return reached
        try:
            ask_for_root(self._settings, origin)
        except (SourceUnavailable, SourceTimeout) as error:
            self.lost(origin, error)
            return False
        self._asked[origin] = self._clock(), True
        return True

    def lost(self, origin: Origin, reason: DataPlatformError) -> None:
        """Note that a root cannot be read just now."""
        if self._asked.get(origin, (0.0, True))[1]:
            _log.warning("Batches are left to other workers: %s", reason)
        self._asked[origin] = self._clock(), False
