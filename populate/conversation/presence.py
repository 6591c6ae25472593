"""Tells a file that is gone from a source system that is gone: only the first one saves anything.

"Nothing there" is also what an unmounted disk says, a web server that was replaced, or a bucket
that was deleted with all that is in it. So there has to be a sign that the source is itself:

file      The folder is there, and was changed since the file was last seen in it: taking a file
          away changes its folder. The empty folder that a disk is mounted on was not.
s3        The bucket can be listed.
others    Another file of that system that the catalogue knows can be found.

Without such a sign nothing is known.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from data_platform.errors import DataPlatformError, SourceNotFound
from data_platform.settings import Settings
from populate.conversation.statements import ask
from readers.registry import source_of_kind
from readers.source import Source
from schemas.binding import Binding

WHOLE_BUCKET = "/"


class Presence:
    """Looks at sources with the credentials of this process; asks each system once whether it is there."""

    def __init__(self, binding: Binding, settings: Settings) -> None:
        self._binding = binding
        self._settings = settings
        self._systems: dict[str, bool] = {}

    def is_gone(self, kind: str, system: str, item: str, file: str, seen_at: datetime) -> bool:
        """Tell whether the source is there and the file, last seen at `seen_at` (UTC), is not.

        Raises
        ------
        DataPlatformError, OSError, NotImplementedError
            Whatever the source raises when it cannot tell.
        """
        source = source_of_kind(kind, self._settings)
        try:
            source.revision(source.reopen(system, item))
        except SourceNotFound:
            if kind == "file":
                return _folder_has_changed(source, system, item, seen_at)
            return self._answers(source, system, file)
        return False

    def _answers(self, source: Source, system: str, file: str) -> bool:
        if system not in self._systems:
            known = _lists(source, system) if source.kind == "s3" else self._has_another(source, system, file)
            self._systems[system] = known
        return self._systems[system]

    def _has_another(self, source: Source, system: str, file: str) -> bool:
        for (item,) in ask(self._binding, "neighbours", system=system, file=file):
            with suppress(DataPlatformError, OSError):
                source.revision(source.reopen(system, item))
                return True
        return False


def _folder_has_changed(source: Source, system: str, item: str, since: datetime) -> bool:
    try:
        folder = source.reopen(system, item.rpartition("/")[0] or "/")
        changed_at = source.revision(folder).modified_at
    except SourceNotFound:
        return False
    return folder.is_folder and changed_at is not None and changed_at >= since


def _lists(source: Source, system: str) -> bool:
    try:
        next(iter(source.list(source.reopen(system, WHOLE_BUCKET))), None)
    except SourceNotFound:
        return False
    return True
