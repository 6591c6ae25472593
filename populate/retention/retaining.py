"""One round of retention in a store: mark, sweep what has waited, tidy up. What it promises: `populate.retention`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from data_platform.errors import ObjectLocked
from data_platform.settings import Settings
from populate.backup.erasing import out_of, unfinished
from populate.backup.held import held
from populate.backup.removal import server_now
from populate.backup.removing import TAKE_OVER, Round, removing
from populate.backup.repacking import repack
from populate.backup.tables import Placement
from populate.lookup import lookup
from populate.retention import quarantine, strays
from populate.retention.noting import assert_none_unknown, note_down, put_back
from populate.retention.quarantine import Judge
from populate.retention.strays import Inventory, pages
from populate.store import Store, stores
from schemas.binding import Binding
from schemas.identity import identity

LOOKED_AT = 500
"""Contents that are judged at once."""

SWEPT_AT = 200
"""Contents that are swept in one transaction; meanwhile nobody records a place in that store."""

DEAD = 0.5
"""Share of a pack without places above which it is written anew."""


@dataclass(slots=True)
class Retained:
    """What a round did, or with a dry run what it would do.

    Attributes
    ----------
    store
        The store.
    marked, marked_bytes
        Contents that went into quarantine, and their bytes.
    spared
        Contents in quarantine that something keeps again.
    waiting, waiting_bytes
        Contents in quarantine that have not waited long enough, those just marked included.
    swept, swept_bytes
        Contents that have no place any more.
    strays
        Objects without rows.
    removed
        Objects that were removed, those without rows and old packs included; not told by a dry run.
    repacked
        Packs, mostly dead, that were written anew.
    erased
        Orders to erase that were carried on.
    locked
        Objects that were to be removed and that the store lets nobody remove yet; a later round tries again.
    doubtful
        So much in the store is unknown that the catalogue was lost, or is not the only one of this store: no object
        without rows was touched. `data-platform rebuild` enters them.
    """

    store: str
    marked: int = 0
    marked_bytes: int = 0
    spared: int = 0
    waiting: int = 0
    waiting_bytes: int = 0
    swept: int = 0
    swept_bytes: int = 0
    strays: int = 0
    removed: int = 0
    repacked: int = 0
    erased: int = 0
    locked: int = 0
    doubtful: bool = False


def retain(
    binding: Binding,
    store: Store,
    settings: Settings,
    *,
    dry_run: bool = False,
    now: datetime | None = None,
    take_over: timedelta = TAKE_OVER,
) -> Retained:
    """Mark what nothing keeps in a store, and sweep what is marked for long enough. It may be broken off any time.

    Parameters
    ----------
    binding
        With the tables of `populate.pipeline`.
    store
        The store.
    settings
        Whose order it is, and how long the quarantine lasts.
    dry_run
        Change nothing.
    now
        UTC, naive; the present moment by the clock of the database unless given: a clock that is ahead sweeps early.
    take_over
        Age of what a killed round had claimed before it is removed; see `populate.backup.removing`.

    Raises
    ------
    DatabaseOutdated
        If a store knows of decisions that the catalogue does not: one may be a hold. Nothing is changed.
    StoreUnavailable, StoreError
        If a store does not answer, this one does not let anything be removed, or another round is at work in it.
    """
    binding.ensure()
    assert_none_unknown(binding, _all(store, settings))
    if not dry_run:
        note_down(store)
        put_back(store)
    judge = Judge(binding, now or server_now(binding.connection))
    due_before = judge.now - timedelta(days=settings.store.quarantine_days)
    done = Retained(store.name)
    with ExitStack() as stack:
        round_: Round | None = None
        if not dry_run:
            _finish_erasing(binding, store, settings, judge, done)
            round_ = stack.enter_context(removing(binding, store, settings))
            done.removed += len(round_.carry_on(take_over))
        for due, sizes in _looked_through(binding, store, judge, due_before, done, dry_run=dry_run):
            _sweep(round_, judge, due, sizes, done)
        stock = strays.inventory(binding, store, identity("store", store.name))
        done.strays, done.doubtful = len(stock.strays), stock.is_doubtful
        if round_ is not None:
            if not done.doubtful:
                _sweep_strays(round_, judge, stock, due_before, done)
            _repack(round_, judge, stock, done)
            done.locked += len(round_.locked)
    return done


def _all(store: Store, settings: Settings) -> list[Store]:
    """Return a store and all others: whichever of them knows of a hold."""
    return [store, *(other for other in stores(settings) if other.name != store.name)]


def _looked_through(
    binding: Binding, store: Store, judge: Judge, due_before: datetime, done: Retained, *, dry_run: bool
) -> Iterator[tuple[dict[str, datetime], dict[str, int]]]:
    """Mark and spare; yield what is due, some at a time, with since when, and the sizes of contents."""
    store_id = identity("store", store.name)
    for page in pages(held(binding.connection, store_id), LOOKED_AT):
        sizes = {kept.sha256: kept.size for kept in page}
        looked = quarantine.look(judge, store_id, sizes.keys(), due_before, dry_run=dry_run)
        done.marked += len(looked.marked)
        done.marked_bytes += sum(sizes[sha256] for sha256 in looked.marked)
        done.spared += len(looked.spared)
        done.waiting += len(looked.waiting)
        done.waiting_bytes += sum(sizes[sha256] for sha256 in looked.waiting)
        for some in pages(sorted(looked.due.items()), SWEPT_AT):
            yield dict(some), sizes


def _sweep(round_: Round | None, judge: Judge, due: dict[str, datetime], sizes: dict[str, int], done: Retained) -> None:
    gone, removed = (set(due), list[str]()) if round_ is None else quarantine.sweep(round_, judge, due)
    done.swept += len(gone)
    done.swept_bytes += sum(sizes[sha256] for sha256 in gone)
    done.removed += len(removed)


def _finish_erasing(binding: Binding, store: Store, settings: Settings, judge: Judge, done: Retained) -> None:
    """Carry on what somebody who erased was broken off at, and erase what came back meanwhile; not what is held."""
    orders = {row["sha256"] for row in unfinished()}
    orders -= judge.held(orders)
    there = lookup(Placement, "sha256", store_id=(identity("store", store.name),), sha256=orders)
    for (sha256,) in there:
        try:
            out_of(binding, store, settings, sha256)
            done.erased += 1
        except ObjectLocked:  # which keeps nothing else from going
            done.locked += 1


def _sweep_strays(round_: Round, judge: Judge, stock: Inventory, due_before: datetime, done: Retained) -> None:
    since = strays.note(round_.store_id, stock, judge.now)
    due = strays.due(stock, since, due_before)
    for some in pages(due.items(), SWEPT_AT):
        done.removed += len(strays.sweep(round_, judge, dict(some), since))


def _repack(round_: Round, judge: Judge, stock: Inventory, done: Retained) -> None:
    for name, (size, live) in sorted(stock.packs.items()):
        if live < (1 - DEAD) * size:
            removed = repack(round_, name, wanted=partial(quarantine.wanted, judge, round_.store_id))
            done.repacked += len(removed)
            done.removed += len(removed)
