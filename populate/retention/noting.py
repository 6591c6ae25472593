"""Decisions are noted down in the stores, and nothing is removed while a store knows one that the catalogue does not.

For a database that was restored from an older dump knows nothing of the holds that were placed since.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any

from data_platform.errors import (
    BlobDamaged,
    DatabaseOutdated,
    DataPlatformError,
    SettingsError,
    StoreError,
    StoreUnavailable,
)
from data_platform.settings import Settings
from populate.backup.stores import record_store
from populate.backup.tables import assert_mounted
from populate.retention.decisions import (
    HOLD,
    RELEASE,
    RULE,
    RULE_END,
    Decision,
    noted_in,
    read,
    write,
)
from populate.retention.tables import (
    LegalHold,
    LegalHoldEnded,
    LegalHoldEndNoted,
    LegalHoldNoted,
    NotedDown,
    RetentionRule,
    RetentionRuleEnded,
    RetentionRuleEndNoted,
    RetentionRuleNoted,
)
from populate.store import Store, open_replica, open_store
from populate.store.base import decision_of
from schemas.binding import Binding
from schemas.engine import dj

_log = logging.getLogger(__name__)

NOTED: tuple[type[NotedDown], ...] = (
    *(LegalHoldNoted, LegalHoldEndNoted),
    *(RetentionRuleNoted, RetentionRuleEndNoted),
)


def known() -> dict[str, Decision]:
    """Return what the catalogue knows to have been decided, by the hash that it is known by."""
    return {decision.sha256: decision for decision in _decided()}


def _decided() -> Iterator[Decision]:
    pairs = (
        (HOLD, LegalHold, RELEASE, LegalHoldEnded, "hold_number"),
        (RULE, RetentionRule, RULE_END, RetentionRuleEnded, "rule_number"),
    )
    for kind, made, end, ended, name in pairs:
        ends = _rows(ended)  # before what they end
        there = {row[name]: Decision.of_row(kind, row[name], row) for row in _rows(made)}
        yield from there.values()
        for row in ends:
            yield Decision.of_row(end, row[name], row, there[row[name]].sha256)


def _rows(table: Any) -> list[dict[str, Any]]:
    return list(table.to_dicts(order_by="KEY"))


def note_at_once(settings: Settings) -> list[str]:
    """Note down in every store what is not yet; return, and log, why that cannot be done now.

    Whatever happens here, what was decided is in force, and a round of retention notes it down before anything else.
    """
    failed = list[str]()
    for opened in (_open_store, open_replica):
        try:
            if (store := opened(settings)) is not None:
                note_down(store)
        except (DataPlatformError, dj.DataJointError, OSError) as error:  # whatever it is, it was decided
            failed.append(str(error))
    for reason in failed:
        _log.warning(
            "It is in force, and is not noted down in the content store yet, so a lost database would forget it. The "
            "next `data-platform retain` does that; run it once this is mended: %s",
            reason,
        )
    return failed


def _open_store(settings: Settings) -> Store:
    if not settings.store_is_set:  # the default is a folder of this machine, where nobody would look for a hold
        raise SettingsError("The content store is not set on this machine. Set store.url as the workers have it.")
    return open_store(settings)


def note_down(store: Store) -> None:
    """Note down in a store what is not yet.

    Raises
    ------
    StoreUnavailable, StoreError
        If the store does not take it.
    """
    store_id = record_store(store.name)
    for kind in NOTED:
        table: Any = kind()
        table.store = store
        try:
            table.populate({"store_id": store_id})
        except dj.errors.DuplicateError:  # somebody else does the same at this moment
            table.populate({"store_id": store_id})


def put_back(store: Store) -> None:
    """Write the decisions of the catalogue that a store has lost, or does not give as they were noted down there.

    Raises
    ------
    StoreUnavailable, StoreError
        If the store does not take them; those that it takes are there then.
    """
    assert_mounted(store)
    there = noted_in(store)
    names = {decision_of(name): name for name in there}
    failed = list[StoreError]()
    for sha256, decision in known().items():
        name = names.get(sha256, "")
        try:
            if not name or not _is_whole(store, name, there[name]):
                write(store, decision, name)
        except StoreUnavailable:
            raise
        except StoreError as error:  # of this object: the others are put back all the same
            failed.append(error)
    if failed:
        raise failed[0]


def _is_whole(store: Store, name: str, size: int) -> bool:
    try:
        read(store, name, size)
    except BlobDamaged:
        return False
    return True


def assert_none_unknown(binding: Binding, stores: Iterable[Store]) -> None:
    """See that the catalogue knows all that stores know to have been decided.

    Raises
    ------
    DatabaseOutdated
        If it does not: holds may be forgotten.
    StoreUnavailable, StoreError
        If a store does not answer, or is empty and should not be: it may know more.
    """
    binding.ensure()
    for store in stores:
        assert_mounted(store)
        if names := list(unknown_in(store)):
            raise DatabaseOutdated(
                f"{store.name} knows {len(names):,} decisions about keeping that the catalogue does not, as "
                f"{names[0]}. Nothing was removed. If the database is older than the store, as after a restore from an "
                "older dump, run `data-platform rebuild --only-decisions` as a steward, which enters them. If another "
                "catalogue keeps its contents in this store, too, do not: give each a prefix of its own in store.url, "
                "as docs/how-to/retention.md says."
            )


def unasked(binding: Binding, settings: Settings) -> list[StoreError]:
    """See that the catalogue knows all that the stores know that answer; return why the others could not be asked.

    Raises
    ------
    DatabaseOutdated
        If it does not, whichever other store does not answer.
    """
    failed = list[StoreError]()
    for opened in (open_store, open_replica):
        try:
            if (store := opened(settings)) is not None:
                assert_none_unknown(binding, [store])
        except StoreError as error:
            failed.append(error)
    return failed


def unknown_in(store: Store) -> Iterator[str]:
    """Yield the names of what a store knows to have been decided and the catalogue does not, read or not.

    Another end of what has ended is nothing new: after a restore somebody ended it once more.
    """
    there = noted_in(store)  # before the rows, which come first: what is decided at this moment is not unknown
    decided = known()
    ended = {decision.of for decision in decided.values() if decision.of}
    for name, size in there.items():
        if decision_of(name) not in decided:
            try:
                is_new = read(store, name, size).of not in ended
            except BlobDamaged:  # for all that is known a hold
                is_new = True
            if is_new:
                yield name
