"""What the changes of one drive mean for the catalogue, and writing it down."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from data_platform.errors import SourceError, SourceNotFound
from populate import facts
from populate.facts import stored
from populate.lookup import add, lookup, unknown
from populate.sharing.changes import Changes
from populate.sharing.drives import ALL, KIND, UNFINISHED
from populate.sharing.items import FOLDER, GONE, OldVersion, Seen
from populate.sharing.tree import MANY, State, Tree, portions
from schemas.catalogue import File, FileGone, FileName, FileOwner, SourceSystem, Version
from schemas.following import DrivePosition, LoggedItem, ReadFile, SourceVersion
from schemas.people import Account, Person
from schemas.sharing import Permission

KEEP_POSITION = timedelta(days=1)  # a position at which nothing was told is good for so long, at least


class Update:
    """The changes of a drive, from what it told to rows.

    Parameters
    ----------
    changes
        What the drive told.
    new
        Item ids of files that were read since, by file; of a drive that tells in parts, all that no part told of.
    refused
        Items of which the source refused to tell when it was asked last.
    untold
        Items that were noted before a drive told of everything, and of which no part told: gone if it began
        anew, else they are asked about.
    more
        Another one of the same drive follows.
    realm
        Directory of the accounts of the tenant.
    """

    def __init__(
        self,
        changes: Changes,
        new: dict[str, str],
        realm: str,
        now: datetime,
        *,
        refused: Collection[str] = (),
        untold: Collection[str] = (),
        more: bool = False,
    ) -> None:
        self.drive = changes.drive
        self.tree = Tree(self.drive.key)
        self.items: dict[str, Seen] = {}
        self.changed = 0
        self.permissions: dict[str, str] = {}
        self.histories: dict[str, str] = {}
        self.versions: dict[str, list[OldVersion]] = {}
        self.more = more
        self.told = len(changes.items.keys() | new.keys()) + len(refused) + len(untold)
        self._changes = changes
        self._new = new
        self._refused = frozenset(refused)
        self._untold = untold
        self._realm = realm
        self._now = now
        self._whole = self.drive.scope == ALL
        self._named: set[str] = set()
        self._moved: set[str] = set()
        self._gone: set[str] = set()
        self._opened: set[str] = set()
        self._item_ids: dict[str, str] = dict(new)
        self._held: dict[str, State] = {}

    def to_describe(self) -> dict[str, str]:
        """Return the items that have to be asked about one by one: those that no list of changes tells of."""
        untold = {key for key, state in self.tree.states(self._untold).items() if state.kind != GONE}
        wanted = self._new | self._ids(self._refused if self._changes.afresh else self._refused | untold)
        if not self._whole:
            self._held = self.tree.load_all()
            if self._changes.afresh:
                wanted |= self._ids(key for key, state in self._held.items() if state.kind != GONE)
        return {key: item_id for key, item_id in wanted.items() if key not in self._changes.items}

    def take_changes(self) -> None:
        """Take in what the list of changes tells of items that are followed."""
        told = self._changes.items
        self.tree.states(told.keys() | {item.parent_key for item in told.values()})  # at once, not one by one
        tracked = None if self._whole else self._held.keys() | self._new.keys()
        for key, item in self._changes.items.items():
            if tracked is None or key in tracked:
                self.take(item)
        if self._whole and self._changes.afresh:
            asked = self._new.keys() | self._refused  # about these one by one
            for key, state in self.tree.states(set(self._untold) - asked).items():
                if state.kind != GONE:
                    self._lose(key)

    def take(self, item: Seen) -> None:
        """Take in what an item is like now."""
        if item.kind == GONE:
            return self._lose(item.key)
        before = self.tree.change(item, self._now)
        self.items[item.key] = item
        self._item_ids |= {item.parent_key: item.parent_id, item.key: item.item_id}
        self.changed += before is None or self.tree.states([item.key])[item.key] != before
        moved = before is None or before.kind == GONE or before.place != (item.parent_key, stored(item.name, 768))
        unshared = before is not None and before.shared != stored(item.shared, 32)
        if unshared or item.sharing_changed:
            self._opened.add(item.key)
        if moved and item.kind != FOLDER:
            self._named.add(item.key)
        elif moved and before is not None:
            self._moved.add(item.key)

    def lose(self, key: str, error: SourceError) -> None:
        """Take in that an item cannot be had; only if the source says so is it gone."""
        if isinstance(error, SourceNotFound):
            self._lose(key)

    def refuse(self, key: str) -> None:
        """Remember that the source refused to tell of an item: nothing else may bring it up again."""
        self.tree.refuse(key, self._now)

    def unknown_folders(self) -> dict[str, str]:
        """Return the folders above followed files of which nothing is known yet."""
        told_of = self._whole and not self._changes.in_part
        return {} if told_of else self._ids(self.tree.unknown_folders(self.items))

    def decide(self) -> None:
        """Decide whose permissions and versions are asked for, now that it is known what lies where."""
        for key in self.tree.below(self._gone):  # some sources tell of a folder alone that it is gone
            self._lose(key)
        moved = {key for key, state in self.tree.below(self._moved).items() if state.kind != FOLDER}
        self._named = (self._named | moved) - self._gone
        opened = {key for key in self._opened if self._is_folder(key)}
        affected = {*self.items, *self.tree.below(opened | self._moved)}
        files = {key for key, state in self.tree.states(affected).items() if state.kind != FOLDER}
        read = files if not self._whole else {row[0] for row in _among(Version, "file_id", files)}
        granted = {row[0] for row in _among(Permission, "file_id", affected)}
        wanted = read | granted | self._refused | {key for key in self.items if self._has_own(key)}
        self.permissions = self._ids(wanted - self._gone)
        self.histories = self._ids(read & self.items.keys())

    def unowned(self) -> dict[str, str]:
        """Return the files with grants of which nobody knows whose they are: lists of changes do not tell."""
        if not self._whole or self.drive.owner_login:
            return {}
        files = {key for key in self.permissions if key in self.items and not self._is_folder(key)}
        nameless = {key for key in files if not self.items[key].owner}
        return self._ids(nameless - {row[0] for row in _among(FileOwner, "file_id", nameless)})

    def _has_own(self, key: str) -> bool:
        """Tell whether an item of a drive that is followed as a whole has grants of its own, or had some."""
        return self._whole and (key in self._opened or bool(self.items[key].shared) or self.items[key].is_root)

    def _is_folder(self, key: str) -> bool:
        return key in self.items and self.items[key].kind == FOLDER

    def write(self) -> None:
        """Add every row but those of grants; to be called within a transaction."""
        rows = [self._row(key) for key in sorted(self.items.keys() | self._named) if self._is_listed(key)]
        for some in portions(rows, MANY):
            accounts = unknown(Account, facts.owners(some), "account_id")
            add(SourceSystem, unknown(SourceSystem, facts.source_systems(some), "source_system"))
            add(Person, facts.persons(accounts))
            add(Account, accounts)
            add(File, unknown(File, facts.files(some), "file_id"))
            add(FileName, facts.file_names([row for row in some if row["file_id"] in self._named]))
            add(FileOwner, self._owners(some))
        self._write_logged(row["file_id"] for row in rows)
        self._write_read()
        gone = sorted(key for (key,) in _among(File, "file_id", self._gone))
        for some in portions(gone, MANY):
            add(FileGone, [{"file_id": key, "gone_on": self._now.date()} for key in some])
        self._write_versions()
        self.tree.write()
        self._write_position()

    @property
    def gone(self) -> set[str]:
        """Files and folders that are not there any more."""
        return self._gone

    def _lose(self, key: str) -> None:
        """Note that an item is gone, if it was noted at all or was read."""
        state = self.tree.states([key]).get(key)
        if state is None and key not in self._new:
            return
        item_id = self._ids([key])[key]
        if state is None or state.kind != GONE:
            self._gone.add(key)
            self.changed += 1
            self.tree.change(Seen(item_id, key, key, item_id, "", GONE, "", -1, "", False, "", ""), self._now)
        self.items.pop(key, None)

    def _is_listed(self, key: str) -> bool:
        """Tell whether an item is a row of the catalogue: every file, and folders with grants of their own."""
        state = self.tree.states([key]).get(key)
        return state is not None and state.kind != GONE and (state.kind != FOLDER or key in self.permissions)

    def _row(self, key: str) -> dict[str, Any]:
        """Return what `populate.facts` reads of an access that finds the file today."""
        item, path = self.items.get(key), self.tree.path(key)
        owner = self.drive.owner_login or (item.owner if item else "")
        return {
            "file_id": key,
            "source_system": self.drive.system,
            "source_kind": KIND,
            "item_id": stored(self._ids([key])[key], 4096),
            "file_name": self.tree.states([key])[key].name,
            "file_path": stored(path, 4096),
            "owner_realm": (self.drive.owner_realm or self._realm) if owner else "",
            "owner_login": stored(owner, facts.TEXT),
            "day": self._now.date(),
        }

    def _owners(self, rows: Iterable[dict[str, Any]]) -> facts.Rows:
        """Return owners that are new: the source names the same one each time."""
        found = facts.file_owners(rows)
        known = {(row[0], row[1]) for row in _among(FileOwner, "file_id", [r["file_id"] for r in found], "account_id")}
        return [row for row in found if (row["file_id"], row["account_id"]) not in known]

    def _write_logged(self, keys: Iterable[str]) -> None:
        rows = [
            {"file_id": key, "log_item": self.items[key].log_item}
            for key in keys
            if key in self.items and self.items[key].log_item
        ]
        for some in portions(rows, MANY):
            add(LoggedItem, unknown(LoggedItem, some, "file_id"))

    def _write_read(self) -> None:
        """Note which files are known to have been read; of others grants that they inherit are not asked for."""
        known = self.tree.states(self._new.keys() | self.histories.keys())
        there = sorted(key for (key,) in _among(File, "file_id", known))
        for some in portions(there, MANY):
            rows = [{"file_id": key, "read_known_at": self._now} for key in some]
            add(ReadFile, unknown(ReadFile, rows, "file_id"))

    def _write_versions(self) -> None:
        rows = [
            {
                "file_id": key,
                "version_label": stored(one.label, 255),
                "version_modified_at": one.modified_at,
                "version_author": stored(one.author, 255),
                "source_version_size": one.size,
            }
            for key, listed in sorted(self.versions.items())
            for one in listed
        ]
        for some in portions(rows, MANY):
            add(SourceVersion, unknown(SourceVersion, some, "file_id"))

    def _write_position(self) -> None:
        link, drive, changes = self._changes.link, self.drive, self._changes
        stale = self._now - drive.position_at > KEEP_POSITION if drive.position else True
        if link and link != drive.position and (changes.items or stale or changes.afresh or changes.in_part):
            at = max(self._now, drive.position_at + timedelta(microseconds=1)) + timedelta(microseconds=changes.number)
            key = {"drive_key": drive.key, "position_at": at}
            scope = UNFINISHED if changes.more else drive.scope
            add(DrivePosition, [key | {"position_scope": scope, "position_link": link}])

    def _ids(self, keys: Iterable[str]) -> dict[str, str]:
        """Return the item ids of items by key: as they were told, else as they are in the catalogue."""
        wanted = set(keys)
        missing = wanted - self._item_ids.keys()
        states = self.tree.states(missing)
        self._item_ids |= {key: f"{self.drive.source_id}/{state.source_item}" for key, state in states.items()}
        return {key: self._item_ids[key] for key in sorted(wanted) if key in self._item_ids}


def _among(table: Any, key: str, keys: Collection[str], *columns: str) -> list[tuple[Any, ...]]:
    """Return `key` and `columns` of the rows whose `key` is among `keys`."""
    found: list[tuple[Any, ...]] = []
    for some in portions(sorted(keys), MANY):
        found += lookup(table, key, *columns, **{key: some})
    return found
