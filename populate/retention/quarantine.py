"""What waits to go from a store: marked when nothing keeps it, and spared as soon as something does."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from functools import partial
from typing import NamedTuple

from populate.backup.erased import erased
from populate.backup.removing import Round
from populate.backup.repacking import contents_of_object, found_whole
from populate.backup.tables import Placement
from populate.backup.verification import open_damages
from populate.lookup import lookup
from populate.retention import keeping
from populate.retention.references import known_of
from populate.retention.rules import NO_FILE, holding, reason_to_keep
from populate.retention.tables import Quarantine, QuarantineEnd
from populate.store.base import PACKS
from schemas.binding import Binding

KEPT, SWEPT = "kept", "swept"


class Judge:
    """Says why contents are kept, by what holds at the moment of asking.

    Parameters
    ----------
    now
        UTC; what days are counted to.
    """

    def __init__(self, binding: Binding, now: datetime) -> None:
        self.now = now
        self._binding = binding

    def reasons(self, hashes: Collection[str]) -> dict[str, str]:
        """Return the reason to keep each of some contents, empty if there is none, by SHA-256."""
        known = known_of(self._binding, hashes, self.now.date())
        rules, holds = keeping.rules(), keeping.holds()  # last, so that a hold of this moment counts
        return {sha256: reason_to_keep(sha256, known[sha256], rules, holds, self.now) for sha256 in hashes}

    def held(self, hashes: Collection[str]) -> set[str]:
        """Return those of some contents that a legal hold keeps."""
        known = known_of(self._binding, hashes, self.now.date()) if hashes else {}
        holds = keeping.holds()
        return {sha256 for sha256 in known if holding(sha256, known[sha256], holds) is not None}


def waiting(store_id: str, hashes: Collection[str]) -> dict[str, datetime]:
    """Return those of some contents that are in quarantine in a store, and since when (UTC)."""
    ended = set(lookup(QuarantineEnd, "sha256", "quarantined_at", store_id=(store_id,), sha256=hashes))
    marks = lookup(Quarantine, "sha256", "quarantined_at", store_id=(store_id,), sha256=hashes)
    return dict(mark for mark in marks if mark not in ended)


class Looked(NamedTuple):
    """What became of some contents that were looked at: SHA-256 of those marked now, spared now, and due."""

    marked: set[str]
    spared: set[str]
    waiting: set[str]
    due: dict[str, datetime]


def look(judge: Judge, store_id: str, hashes: Collection[str], due_before: datetime, *, dry_run: bool) -> Looked:
    """Mark what nothing keeps, spare what something does, and tell what has waited long enough."""
    reasons, marks = judge.reasons(hashes), waiting(store_id, hashes)
    unkept = {sha256 for sha256, reason in reasons.items() if not reason}
    marked, spared = unkept - marks.keys(), marks.keys() - unkept
    if not dry_run:
        Quarantine.insert(_mark(store_id, sha256, judge.now) for sha256 in sorted(marked))
        end(store_id, {sha256: marks[sha256] for sha256 in spared}, KEPT, judge.now)
    since = {sha256: marks.get(sha256, judge.now) for sha256 in unkept}
    due = {sha256: at for sha256, at in since.items() if at <= due_before}
    return Looked(marked, spared, unkept - due.keys(), due)


def sweep(round_: Round, judge: Judge, due: Mapping[str, datetime]) -> tuple[set[str], list[str]]:
    """Take the places of contents away that nothing keeps still, then their objects.

    Parameters
    ----------
    due
        SHA-256 and since when it is in quarantine.

    Returns
    -------
    set of str, list of str
        SHA-256 of what has no place any more, and the objects that were removed.
    """
    packs = _packs_of(round_, due.keys())
    with round_.behind_gate():
        gone = {sha256 for sha256, reason in judge.reasons(due.keys()).items() if not reason}
        for outcome, hashes in ((SWEPT, gone), (KEPT, due.keys() - gone)):
            end(round_.store_id, {sha256: due[sha256] for sha256 in hashes}, outcome, judge.now)
        names = {name for (name,) in lookup(Placement, "object_name", store_id=(round_.store_id,), sha256=gone)}
        _delete_places(round_.store_id, gone)
        last = {name for name, hashes in packs.items() if wanted(judge, round_.store_id, hashes - gone)}
        last |= {name for name in names if name.startswith(PACKS)} - packs.keys()
        free = round_.claim(names - last)
    removed = round_.remove(free)
    for name in sorted(last & packs.keys()):
        found_whole(round_, name, partial(wanted, judge, round_.store_id))
    return gone, removed


def _packs_of(round_: Round, hashes: Collection[str]) -> dict[str, set[str]]:
    """Return the packs of which rows lead to some contents only, and what each holds, as far as that can be told."""
    rows = lookup(Placement, "object_name", store_id=(round_.store_id,), sha256=hashes)
    names = {name for (name,) in rows if name.startswith(PACKS)}
    rows = lookup(Placement, "object_name", "sha256", store_id=(round_.store_id,), object_name=names)
    going = names - {name for name, sha256 in rows if sha256 not in hashes}
    found = {name: contents_of_object(round_.store, name) for name in sorted(going)}
    return {name: {*contents} for name, contents in found.items() if contents is not None}


def _delete_places(store_id: str, hashes: Collection[str]) -> None:
    if hashes:
        table = Placement()
        marks = ", ".join(["%s"] * len(hashes))
        statement = f"DELETE FROM {table.full_table_name} WHERE store_id = %s AND sha256 IN ({marks})"  # noqa: S608
        table.connection.query(statement, args=(store_id, *sorted(hashes)))


def wanted(judge: Judge, store_id: str, hashes: Collection[str]) -> set[str]:
    """Return those of some contents that are wanted and not well kept: an object without rows may have the last bytes.

    To be called behind the gate.
    """
    if not hashes:
        return set()
    placed = {sha256 for (sha256,) in lookup(Placement, "sha256", store_id=(store_id,), sha256=hashes)}
    placed -= open_damages(store_id, placed).keys()  # whoever was mending them may have been killed
    gone = erased(hashes)
    reasons = judge.reasons({*hashes} - placed - gone)
    return {sha256 for sha256, reason in reasons.items() if reason not in ("", NO_FILE)} | judge.held(gone)


def end(store_id: str, marks: Mapping[str, datetime], outcome: str, now: datetime) -> None:
    """Note down what became of contents in quarantine."""
    key = {"store_id": store_id, "quarantine_ended_at": now, "quarantine_outcome": outcome}
    QuarantineEnd.insert({**key, "sha256": sha256, "quarantined_at": at} for sha256, at in sorted(marks.items()))


def _mark(store_id: str, sha256: str, now: datetime) -> dict[str, object]:
    return {"sha256": sha256, "store_id": store_id, "quarantined_at": now}
