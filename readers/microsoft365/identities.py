"""Whom Microsoft 365 names as the owner of an item."""

from __future__ import annotations

import threading
from typing import Any

from data_platform.errors import SourceError
from readers.microsoft365 import items
from readers.microsoft365.graph import Graph
from readers.source import Login

Json = dict[str, Any]
_KEPT = 4096
_TRIES = 3


class Identities:
    """The owners of drives, asked once each."""

    def __init__(self) -> None:
        self._owners: dict[str, Login | None] = {}
        self._failed: dict[str, int] = {}
        self._lock = threading.Lock()

    def owner(self, graph: Graph, told: Json, tenant: str, share: str = "") -> Login | None:
        """Return the owner: of a person's own drive that person, of a library's file whoever made it."""
        reference = told.get("parentReference")
        kind = reference.get("driveType") if isinstance(reference, dict) else None
        if kind == "personal":
            tenant = items.PERSONAL_TENANT
        drive, _ = items.identity(told)
        if kind in {"business", None} and (found := self._of_drive(graph, drive, tenant, share)) is not None:
            return found
        return items.login(told.get("createdBy"), tenant)

    def _of_drive(self, graph: Graph, drive: str, tenant: str, share: str) -> Login | None:
        with self._lock:
            if drive in self._owners:
                return self._owners[drive]
        try:
            told = _drive(graph, drive, share)
        except SourceError:
            # Who may read a file may not see its drive: the read goes on, its owner is whoever made it.
            with self._lock:
                self._failed[drive] = self._failed.get(drive, 0) + 1
                if self._failed[drive] >= _TRIES:
                    self._owners[drive] = None
            return None
        found = items.login(told.get("owner"), tenant)
        with self._lock:
            if len(self._owners) >= _KEPT:
                self._owners.clear()
            self._owners[drive] = found
        return found


def _drive(graph: Graph, drive: str, share: str) -> Json:
    """Return who owns a drive; somebody who has nothing but a link is told that with the link."""
    try:
        return graph.get(f"/drives/{items.quoted(drive)}?$select=id,driveType,owner")
    except SourceError:
        if not share:
            raise
        return graph.get(f"/shares/{share}", **items.REDEEM)
