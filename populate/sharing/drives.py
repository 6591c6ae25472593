"""Which drives are followed: those with a file that somebody read, and those that the settings name."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlsplit

from data_platform.errors import SettingsError, SourceError
from populate.facts import stored
from populate.lookup import add, lookup, unknown
from populate.sharing.items import GONE, SELECT
from populate.sharing.listing import lists
from populate.sharing.parsing import Json, text
from populate.sharing.tree import MANY, REFUSED, portions
from readers.microsoft365.graph import Graph
from schemas.binding import Binding
from schemas.catalogue import File, SourceSystem, Version
from schemas.following import DriveNamed, DrivePosition, FollowedDrive, ItemState, ReadFile
from schemas.identity import identity

KIND = "microsoft365"
ALL, KNOWN = "all", "known"
UNFINISHED = "part"  # scope of a place within the first list of everything in a drive

# Files that were read and of which the source was not asked yet.
_NEW = """
SELECT f.file_id, f.source_system, f.item_id FROM {file} f
JOIN {system} s ON s.source_system = f.source_system AND s.source_kind = %s
WHERE NOT EXISTS (SELECT 1 FROM {state} i WHERE i.item_key = f.file_id)
ORDER BY f.file_id
"""
# Files that somebody read and whose grants and versions were not asked for since: a drive that is followed as a whole
# tells of them before anybody reads them.
_READ = """
SELECT DISTINCT f.file_id, f.source_system, f.item_id FROM {version} v
JOIN {file} f ON f.file_id = v.file_id
JOIN {system} s ON s.source_system = f.source_system AND s.source_kind = %s
WHERE NOT EXISTS (SELECT 1 FROM {asked} a WHERE a.file_id = v.file_id)
ORDER BY f.file_id
"""
# Items of which the source refused to tell when it was asked last.
_REFUSED = """
SELECT s.drive_key, s.item_key FROM {state} s
WHERE s.item_token = %s AND NOT EXISTS (
    SELECT 1 FROM {state} l
    WHERE l.drive_key = s.drive_key AND l.item_key = s.item_key AND l.state_since > s.state_since)
"""
# Items of a drive that were noted before the first part of a list of everything was written down, if any was.
_BEFORE = """
SELECT DISTINCT s.item_key FROM {state} s
WHERE s.drive_key = %s AND NOT EXISTS (
    SELECT 1 FROM {position} p
    WHERE p.drive_key = %s AND p.position_scope = %s AND p.position_at <= s.state_since)
"""
# Items of a drive that are there, by what was noted of them last.
_PRESENT = """
SELECT s.item_key FROM {state} s
WHERE s.drive_key = %s AND s.item_kind <> %s AND NOT EXISTS (
    SELECT 1 FROM {state} l
    WHERE l.drive_key = s.drive_key AND l.item_key = s.item_key AND l.state_since > s.state_since)
"""


@dataclass(frozen=True, slots=True)
class Drive:
    """A drive that is followed.

    Attributes
    ----------
    scope
        ``all``: every item of it is noted; ``known``: only files that were read.
    position
        Where to ask for what has changed since; empty = never asked, or for another scope.
    unfinished
        It leads to the rest of the first list of everything, which was left.
    was_listed
        Everything in it was asked for already, be it in part.
    """

    key: str
    system: str
    source_id: str
    owner_realm: str
    owner_login: str
    scope: str
    position: str
    position_at: datetime
    unfinished: bool = False
    was_listed: bool = False

    @property
    def address(self) -> str:
        """Begins every address within the drive."""
        return f"/drives/{quote(self.source_id, safe='!')}"

    @property
    def site(self) -> str:
        """What tells the drive's site from others: the beginning of its id, if that is made as SharePoint makes it."""
        written = self.source_id.removeprefix("b!")
        try:
            made_of = base64.b64decode(written + "=" * (-len(written) % 4), altchars=b"-_", validate=True)
        except ValueError:
            made_of = b""
        return made_of[:16].hex() if len(made_of) == 48 else self.source_id  # of the site, its web and the list

    def item_address(self, item_id: str) -> str:
        """Return where an item is, whose id is ``drive/item``."""
        return f"{self.address}/items/{quote(item_id.partition('/')[2], safe='!')}"

    def described(self, item_id: str) -> str:
        """Return where an item is described, with what is needed of it and nothing else."""
        return f"{self.item_address(item_id)}?$select={SELECT}"

    def fresh(self) -> str:
        """Return where to begin: at everything, or at what changes from now on, since other items do not concern us."""
        start = f"{self.address}/root/delta?$select={SELECT}"
        return start if self.scope == ALL else f"{start}&token=latest"


def drive_key(system: str, source_id: str) -> str:
    """Return the identity of a drive."""
    return identity("drive", system, source_id)


class Following:
    """Keeps the list of drives.

    Parameters
    ----------
    graph
        Asked as the worker.
    realm
        Directory of the accounts of the tenant.
    """

    def __init__(self, graph: Graph, binding: Binding, realm: str, follow: Iterable[str], now: datetime) -> None:
        self._graph = graph
        self._binding = binding
        self._realm = realm
        self._follow = tuple(dict.fromkeys(entry.strip() for entry in follow if entry.strip()))
        self._now = now
        self.refused: list[tuple[str, SourceError]] = []

    def new_files(self) -> dict[str, dict[str, str]]:
        """Return the item ids of files that were read and not asked about since, by drive and file."""
        tables: dict[str, Any] = {
            "file": File, "system": SourceSystem, "state": ItemState, "version": Version, "asked": ReadFile
        }  # fmt: skip
        names = {name: table().full_table_name for name, table in tables.items()}
        query = self._binding.connection.query
        rows = [row for text in (_NEW, _READ) for row in query(text.format(**names), args=(KIND,)).fetchall()]
        found: dict[str, dict[str, str]] = {}
        drives: dict[str, tuple[str, str]] = {}
        for file_id, system, item_id in rows:
            source_id, _, own_id = item_id.partition("/")
            if source_id and own_id:
                key = drive_key(system, source_id)
                found.setdefault(key, {})[file_id] = item_id
                drives[key] = (system, source_id)
        self._add_read(drives)
        return found

    def refused_items(self) -> dict[str, set[str]]:
        """Return the keys of items of which the source refused to tell when it was asked last, by drive."""
        statement = _REFUSED.format(state=ItemState().full_table_name)
        found: dict[str, set[str]] = {}
        for drive_key, item_key in self._binding.connection.query(statement, args=(REFUSED,)).fetchall():
            found.setdefault(drive_key, set()).add(item_key)
        return found

    def known_before(self, drive: Drive) -> set[str]:
        """Return the keys of items that were noted before the first list of everything in a drive was begun."""
        tables = {"state": ItemState().full_table_name, "position": DrivePosition().full_table_name}
        rows = self._binding.connection.query(_BEFORE.format(**tables), args=(drive.key, drive.key, UNFINISHED))
        return {item_key for (item_key,) in rows.fetchall()}

    def present(self, drive: Drive) -> set[str]:
        """Return the keys of items of a drive that were there when they were noted last."""
        statement = _PRESENT.format(state=ItemState().full_table_name)
        rows = self._binding.connection.query(statement, args=(drive.key, GONE))
        return {item_key for (item_key,) in rows.fetchall()}

    def drives(self, again: bool = False) -> list[Drive]:
        """Return all drives that are followed now, in the order of their keys.

        Parameters
        ----------
        again
            Look up what the settings name, even if it was before: a site may have new drives.
        """
        entries = {identity("followed", entry): entry for entry in self._follow}
        held = {row[0] for row in lookup(DriveNamed, "entry_id", entry_id=list(entries))}
        self._look_up({entry_id: entry for entry_id, entry in entries.items() if again or entry_id not in held})
        named = {row[0] for row in lookup(DriveNamed, "drive_key", entry_id=list(entries))}
        positions = self._positions()
        listed = self._listed()
        found = []
        for key, *row in lookup_all(FollowedDrive, "drive_key", *_DRIVE):
            scope = ALL if key in named else KNOWN
            held_scope, link, at = positions.get(key, ("", "", datetime.min))
            system, source_id, realm, login = row
            unfinished = (held_scope, scope) == (UNFINISHED, ALL)
            link = link if held_scope == scope or unfinished else ""
            found.append(Drive(key, system, source_id, realm, login, scope, link, at, unfinished, key in listed))
        return sorted(found, key=lambda drive: drive.key)

    def _positions(self) -> dict[str, tuple[str, str, datetime]]:
        key = DrivePosition().full_table_name
        latest = (
            f"SELECT p.drive_key, p.position_scope, p.position_link, p.position_at FROM {key} p"  # noqa: S608
            f" JOIN (SELECT drive_key, MAX(position_at) AS newest FROM {key} GROUP BY drive_key) l"
            " ON l.drive_key = p.drive_key AND l.newest = p.position_at"
        )
        return {row[0]: row[1:] for row in self._binding.connection.query(latest).fetchall()}

    def _listed(self) -> set[str]:
        """Return the keys of drives of which everything was asked for already, be it in part."""
        name = DrivePosition().full_table_name
        statement = f"SELECT DISTINCT drive_key FROM {name} WHERE position_scope IN (%s, %s)"  # noqa: S608
        return {row[0] for row in self._binding.connection.query(statement, args=(ALL, UNFINISHED)).fetchall()}

    def _add_read(self, drives: Mapping[str, tuple[str, str]]) -> None:
        """Add drives in which somebody read a file; one that cannot be had is asked about again next time."""
        held = {row[0] for some in portions(sorted(drives), MANY)
                for row in lookup(FollowedDrive, "drive_key", drive_key=some)}  # fmt: skip
        new = [drives[key] for key in sorted(drives.keys() - held)]
        answers = self._graph.batch([f"/drives/{quote(source_id, safe='!')}?$select={_ASKED}" for _, source_id in new])
        for (system, source_id), answer in zip(new, answers, strict=True):
            if isinstance(answer, SourceError):
                self.refused.append((source_id, answer))
            else:
                self._add(system, answer | {"id": source_id})

    def _look_up(self, entries: Mapping[str, str]) -> None:
        """Add the drives that entries of the settings name: sites as ``host/sites/name``, or ids of drives."""
        urls = [_place_of(entry) for entry in entries.values()]
        for (entry_id, entry), listed in zip(entries.items(), lists(self._graph, urls), strict=True):
            if isinstance(listed, SourceError):
                self.refused.append((entry, listed))
                continue
            for drive in listed:
                if key := self._add(source_system(text(drive, "webUrl")), drive):
                    add(DriveNamed, [{"drive_key": key, "entry_id": entry_id, "entry_text": stored(entry, 768)}])

    def _add(self, system: str, drive: Json) -> str:
        """Add a drive unless it is there; return its key, empty if it has no id."""
        source_id = text(drive, "id")
        if not source_id:
            return ""
        key, owner = drive_key(system, source_id), text(drive, "owner", "user", "id").lower()
        row = {
            "drive_key": key,
            "source_system": stored(system, 255),
            "source_drive": stored(source_id, 255),
            "followed_since": self._now,
            "drive_owner_realm": self._realm if owner else "",
            "drive_owner_login": stored(owner, 255),
        }
        systems = [{"source_system": stored(system, 255), "source_kind": KIND}]
        add(SourceSystem, unknown(SourceSystem, systems, "source_system"))
        add(FollowedDrive, [row])
        return key


_ASKED = "id,driveType,owner,webUrl"
_DRIVE = ("source_system", "source_drive", "drive_owner_realm", "drive_owner_login")


def source_system(url: str) -> str:
    """Return the source system of what has its page at `url`."""
    return f"{KIND}/{(urlsplit(url).hostname or 'unknown').lower()}"


def lookup_all(table: Any, *columns: str) -> list[tuple[Any, ...]]:
    """Return `columns` of all rows of a small table."""
    query = table()
    names = ", ".join(map(query.adapter.quote_identifier, columns))
    return list(query.connection.query(f"SELECT {names} FROM {query.full_table_name}").fetchall())  # noqa: S608


def _place_of(entry: str) -> str:
    """Return where the drives are listed, or the drive is described, that an entry of the settings names."""
    if "/" not in entry and "." not in entry:
        return f"/drives/{quote(entry, safe='!')}?$select={_ASKED}"
    url = urlsplit(entry if "://" in entry else f"https://{entry}")
    if not url.hostname:
        raise SettingsError(
            f"microsoft365.follow names {entry!r}, which is neither a site (host/sites/name) nor the id of a drive."
        )
    path = quote(url.path.rstrip("/"), safe="/%")
    return f"/sites/{url.hostname}{f':{path}:' if path else ''}/drives?$select={_ASKED}"
