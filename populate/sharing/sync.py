"""Asking Microsoft 365 what has changed about the files that are followed, and noting it down."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from data_platform.errors import (
    DatabaseUnavailable,
    DataPlatformError,
    SourceError,
    SourceNotFound,
    SourceTimeout,
    SourceUnavailable,
    UnsupportedItem,
)
from data_platform.redact import redact_text
from data_platform.settings import Settings
from populate.sharing.changes import Changes, ask, describe
from populate.sharing.drives import ALL, Drive, Following
from populate.sharing.grants import grants
from populate.sharing.history import plan
from populate.sharing.items import old_versions
from populate.sharing.listing import is_of_item, lists
from populate.sharing.log import SourceLogs
from populate.sharing.log_source import Activity, AuditSearch
from populate.sharing.notices import pending, take
from populate.sharing.permissions import Ledger, end_expired, held
from populate.sharing.progress import SyncProgress, sync_progress_on
from populate.sharing.subscriptions import Subscriptions
from populate.sharing.tree import portions
from populate.sharing.update import Update
from populate.work.contention import persist
from populate.work.lease import Lease
from populate.work.waits import waiting_together
from readers.microsoft365.access import as_worker, audit_as_worker, tenant_of_worker
from readers.microsoft365.graph import Graph
from schemas.binding import Binding

DRIVES_AT_ONCE = 50  # whose items are asked about together, so that batches are full
ITEMS_AT_ONCE = 5_000  # that are told of or asked about, and held in memory until they are written down
IN_A_ROW = 3  # drives that cannot be had one after the other, before the rest waits for the next time


@dataclass(slots=True)
class Synced:
    """What a sync found.

    Attributes
    ----------
    drives
        Drives that were asked.
    items
        Files and folders that are new or changed.
    granted, ended
        Grants that were noted, and that ended.
    versions
        Files whose version history was looked at.
    events, reads
        Acts of sharing and reads that the source's own log told of.
    refused
        What could not be asked, with the reason.
    busy
        Somebody else was at it, so nothing was done.
    """

    drives: int = 0
    items: int = 0
    granted: int = 0
    ended: int = 0
    versions: int = 0
    events: int = 0
    reads: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    busy: bool = False

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def sync_sharing(
    binding: Binding,
    settings: Settings,
    *,
    full: bool = False,
    noticed: bool = False,
    graph: Graph | None = None,
    log: Graph | None = None,
    progress: SyncProgress | None = None,
) -> Synced:
    """Bring permissions, names, versions and gone files of everything that is followed up to date.

    Whatever it has noted stays if it is killed; the next one goes on. Only one at a time works
    on a catalogue.

    Parameters
    ----------
    full
        Ask for everything, not only for what has changed; look for new drives of sites.
    noticed
        Ask only drives that the source said have changed, and about files that are new here.
    graph, log
        Graph and the Management Activity API, asked as the worker; as the settings say unless given.
    progress
        Where to show how far it is; standard error unless given.

    Raises
    ------
    SourceError
        If Microsoft 365 cannot be asked at all.
    SettingsError
        If no application is configured.
    """
    lease = Lease(binding, "sync_sharing")
    with lease.held() as ours, waiting_together(binding):
        if not ours:
            return Synced(busy=True)
        progress = progress or sync_progress_on()
        sync = Sync(binding, settings, graph or as_worker(settings), progress, lease)
        stopped: SourceError | None = None
        try:
            try:
                sync.ask_drives(full, noticed)
            except SourceError as error:  # what does not depend on drives is done all the same
                stopped = error
            sync.end_grants()
            if not noticed:
                sync.take_log(log or audit_as_worker(settings))
            sync.subscribe(told_only=noticed)
        finally:
            progress.close()
        if stopped is not None:
            raise stopped
        return sync.result


class Sync:
    """One sync."""

    def __init__(
        self, binding: Binding, settings: Settings, graph: Graph, progress: SyncProgress, lease: Lease
    ) -> None:
        self._binding = binding
        self._lease = lease
        self._graph = graph
        self._progress = progress
        self._now = datetime.now(UTC).replace(tzinfo=None)
        self._settings = settings
        self._drives: list[Drive] = []
        self._denied: set[str] = set()
        self._again: dict[str, set[str]] = {}
        self._tenant = tenant_of_worker(settings)
        self._realm = f"entra/{self._tenant}"
        self._following = Following(graph, binding, self._realm, settings.microsoft365.follow, self._now)
        self._failed_in_a_row = 0
        self.result = Synced()

    def ask_drives(self, full: bool, noticed: bool) -> None:
        """Ask every drive what has changed; see `sync_sharing`."""
        notices = pending(self._binding)
        new = self._following.new_files()
        self._again = self._following.refused_items()
        self._drives = drives = self._following.drives(again=full)
        if noticed:
            drives = [drive for drive in drives if drive.key in notices or drive.key in new]
        for name, error in self._following.refused:
            self._refuse(name, error)
        for updates in self._portions(self._updates(drives, new, full)):
            self._take(updates)
            # A drive that is denied is asked again with all others; its notices must not have it asked all the time.
            take(notices, {one.drive.key for one in updates if not one.more} | self._denied)
            self._progress.asked(self.result.drives, len(drives), self.result.items)

    def _portions(self, updates: Iterator[Update]) -> Iterator[list[Update]]:
        """Yield what is taken in together: as much as fits into memory, and of a drive one part."""
        some: list[Update] = []
        for one in updates:
            some.append(one)
            full = len(some) >= DRIVES_AT_ONCE or sum(each.told for each in some) >= ITEMS_AT_ONCE
            if one.more or full:
                yield some
                some = []
        if some or self._denied:
            yield some

    def end_grants(self) -> None:
        """Note the end of grants that ran out, whether or not their source could be asked."""
        self._stay_alone()
        self.result.ended += end_expired(self._binding, self._now)

    def take_log(self, api: Graph) -> None:
        """Take in what the source's own log tells; without the permission for it the rest goes on."""
        searched = self._settings.microsoft365.log == "search"
        source = AuditSearch(self._graph, self._tenant, self._now) if searched else Activity(api, self._tenant)
        log = SourceLogs(self._binding, source, self._tenant, self._now)
        try:
            log.take()
        except SourceError as error:
            self._refuse("log", error)
        self.result.events, self.result.reads = log.noted.events, log.noted.reads

    def subscribe(self, *, told_only: bool = False) -> None:
        """Have the source tell us of changes, if it can reach us; else it is only asked.

        Parameters
        ----------
        told_only
            Only of drives of which it said that it does not, or will not for long.
        """
        subscriptions = Subscriptions(self._graph, self._settings.microsoft365, self._now)
        try:
            subscriptions.keep(self._drives, told_only=told_only)
        except SourceError as error:
            self._refuse("notices", error)

    def _updates(self, drives: Sequence[Drive], new: dict[str, dict[str, str]], full: bool) -> Iterator[Update]:
        """Yield what each drive told; one that cannot be had is left for the next time."""
        for drive in drives:
            try:
                yield from self._updates_of(drive, new.get(drive.key, {}), full)
            except SourceError as error:
                self._refuse(drive.source_id, error)
                if is_of_item(error):
                    self._denied.add(drive.key)
                self._failed_in_a_row += isinstance(error, SourceUnavailable | SourceTimeout)
                if self._failed_in_a_row >= IN_A_ROW:
                    raise
                continue
            self._failed_in_a_row = 0

    def _updates_of(self, drive: Drive, new: dict[str, str], full: bool) -> Iterator[Update]:
        """Yield what a drive told, part by part, and then, in pieces, files that were read and that it did not tell of.

        The next sync finds files of which it is not written down that they were asked about, so the drive's position
        need not wait for them.
        """
        untold: set[str] | None = None
        for changes in ask(self._graph, drive, again=full):
            if untold is None or (changes.afresh and not changes.number):
                untold = self._noted_before(changes)
            untold.difference_update(changes.items)
            if changes.more:
                yield Update(changes, {}, self._realm, self._now, more=True)
                new = {key: item_id for key, item_id in new.items() if key not in changes.items}
                continue
            self.result.drives += 1
            told = {key: item_id for key, item_id in new.items() if key in changes.items}
            first, *others = _pieces({key: item_id for key, item_id in new.items() if key not in told})
            yield Update(
                changes,
                told | first,
                self._realm,
                self._now,
                refused=self._again.get(drive.key, ()),
                untold=untold if changes.afresh else untold - new.keys(),
                more=bool(others),
            )
            for piece in others:
                yield Update(Changes(drive), piece, self._realm, self._now, more=piece is not others[-1])

    def _noted_before(self, changes: Changes) -> set[str]:
        """Return the keys of items of which a list of everything, that begins with `changes`, has to tell."""
        if changes.afresh:
            return self._following.present(changes.drive) if changes.drive.scope == ALL else set()
        return self._following.known_before(changes.drive) if changes.in_part else set()

    def _take(self, updates: list[Update]) -> None:
        """Find out what the lists of changes do not tell, and write down what has changed."""
        self._describe([(one, key, item_id) for one in updates for key, item_id in one.to_describe().items()])
        for one in updates:
            one.take_changes()
        wanted = [(one, key, item_id) for one in updates for key, item_id in one.unknown_folders().items()]
        while wanted:  # folder by folder up to the root
            self._describe(wanted)
            asked = {(id(one), key) for one, key, _ in wanted}
            above = ((one, key, item_id) for one in updates for key, item_id in one.unknown_folders().items())
            wanted = [found for found in above if (id(found[0]), found[1]) not in asked]
        for one in updates:
            one.decide()
        self._describe([(one, key, item_id) for one in updates for key, item_id in one.unowned().items()])
        ledger = self._grants(updates)
        self._histories(updates)
        persist(lambda: self._write(updates, ledger))
        self.result.items += sum(one.changed for one in updates)
        self.result.granted += ledger.changed.granted
        self.result.ended += ledger.changed.ended

    def _write(self, updates: Sequence[Update], ledger: Ledger) -> None:
        """Write everything down at once: a drive's place in its list of changes never moves without what it told."""
        self._stay_alone()
        with self._binding.transaction():
            for one in updates:
                one.write()
            ledger.write()
            looked_at = {key for one in updates for key in one.histories}
            plan(looked_at, self._settings.microsoft365.backup_versions, self._now)

    def _stay_alone(self) -> None:
        """Reconnect if the connection was lost, for the source may take long; and with it the lease, if it is free."""
        self._binding.ensure()
        if not self._lease.take():
            raise DatabaseUnavailable(
                "The connection to the database was lost, and another sync is at work since. Nothing to do: it goes on."
            )

    def _describe(self, wanted: Sequence[tuple[Update, str, str]]) -> None:
        answers = describe(self._graph, [(one.drive, key, item_id) for one, key, item_id in wanted])
        for (one, key, item_id), (_, _, item, error) in zip(wanted, answers, strict=True):
            if item is not None:
                one.take(item)
            elif error is not None and not is_of_item(error):
                raise error  # the position must not move on without it
            elif isinstance(error, SourceNotFound):
                one.lose(key, error)
            elif error is not None:
                one.refuse(key)
                self._refuse(item_id, error)

    def _grants(self, updates: Sequence[Update]) -> Ledger:
        """Ask who may see what, and return what has changed in that."""
        wanted = [(one, key, item_id) for one in updates for key, item_id in one.permissions.items()]
        urls = [f"{one.drive.item_address(item_id)}/permissions" for one, _, item_id in wanted]
        before = held({key for _, key, _ in wanted} | {key for one in updates for key in one.gone})
        ledger = Ledger(self._now)
        for (one, key, item_id), listed in zip(wanted, lists(self._graph, urls), strict=True):
            if isinstance(listed, SourceError):
                one.refuse(key)  # or a grant that was taken away would be missed for good
                self._refuse(item_id, listed)
            else:
                ledger.compare(key, grants(listed, self._realm, one.drive.site), before.get(key, {}))
        for one in updates:
            for key in sorted(one.gone - one.permissions.keys()):
                ledger.compare(key, [], before.get(key, {}))
        return ledger

    def _histories(self, updates: Sequence[Update]) -> None:
        """Ask which versions the source keeps of files that are new or changed."""
        wanted = [(one, key, item_id) for one in updates for key, item_id in one.histories.items()]
        urls = [f"{one.drive.item_address(item_id)}/versions" for one, _, item_id in wanted]
        for (one, key, item_id), listed in zip(wanted, lists(self._graph, urls), strict=True):
            if isinstance(listed, SourceError):
                if not isinstance(listed, SourceNotFound | UnsupportedItem):  # not every kind of item has any
                    self._refuse(item_id, listed)
            else:
                one.versions[key] = old_versions({"value": listed})
        self.result.versions += len(wanted)

    def _refuse(self, name: str, error: DataPlatformError) -> None:
        self.result.refused[name] = redact_text(f"{type(error).__name__}: {error}")[:512]


def _pieces(files: dict[str, str]) -> list[dict[str, str]]:
    """Return files in as many pieces as are asked about one after the other, at least one."""
    return [dict(some) for some in portions(sorted(files.items()), ITEMS_AT_ONCE)] or [{}]
