"""Decisions that only a store knows are entered into the catalogue: for when the database was lost, or is an old copy.

Each is entered in a transaction of its own, what is there stays, and what something ends comes first; so it may be
broken off and done again. What cannot be read is told with its name, and keeps nothing else from being entered.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from data_platform.errors import BlobDamaged, StoreError, StoreUnavailable
from populate.backup.tables import assert_mounted
from populate.retention.decisions import DECIDED, HOLD, RELEASE, RULE, RULE_END, Decision, noted_in, read
from populate.retention.keeping import between_sweeps, insert_numbered, lookup_all
from populate.retention.noting import known
from populate.retention.tables import LegalHold, LegalHoldEnded, RetentionRule, RetentionRuleEnded
from populate.store import Store
from populate.store.base import decision_of
from populate.work.lease import Lease
from schemas.binding import Binding
from schemas.engine import dj

_TABLES: dict[str, tuple[Any, str]] = {
    HOLD: (LegalHold, "hold_number"),
    RELEASE: (LegalHoldEnded, "hold_number"),
    RULE: (RetentionRule, "rule_number"),
    RULE_END: (RetentionRuleEnded, "rule_number"),
}


@dataclass(slots=True)
class Entered:
    """What became of what stores know.

    Attributes
    ----------
    decisions
        What was entered, each with its number in the catalogue, when it was decided, by whom, and what.
    refused
        What was not, and why; also why a store could not be asked.
    """

    decisions: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def enter(self, decision: Decision, number: int) -> None:
        """Note that a decision was entered, with that number."""
        self.decisions.append(str(replace(decision, number=number)))


def enter_decisions(binding: Binding, stores: Iterable[Store]) -> Entered:
    """Enter what the stores know to have been decided and the catalogue does not; what is there stays.

    A hold or rule keeps its number, unless that was given to another one after the database was restored.

    Raises
    ------
    StoreUnavailable, StoreError
        If no store answers, or somebody else enters decisions at this moment.
    """
    binding.ensure()
    with Lease(binding, "decisions").held() as is_alone:
        if not is_alone:  # else each would be entered twice, with two numbers
            raise StoreUnavailable("Somebody else enters decisions at this moment. Try again once that is done.")
        return _entered(stores)


def _entered(stores: Iterable[Store]) -> Entered:
    done = Entered()
    found, damaged = _read(_listed(stores, done))
    done.refused += [reason for sha256, reason in damaged if sha256 not in found]
    try:
        _enter_made([one for one in found.values() if not one.of], done)
        _enter_ends([one for one in found.values() if one.of], done)
    except dj.errors.AccessError:
        done.refused.append(
            f"{len(found) - len(done.decisions):,} decisions about keeping were not entered, for only a steward may do "
            "that. Run `data-platform rebuild --only-decisions` with the login of one; until then nothing is removed."
        )
    return done


def _listed(stores: Iterable[Store], done: Entered) -> list[tuple[Store, dict[str, int]]]:
    """Return what each store holds below ``decisions/``, and note which cannot be asked; one is enough."""
    there, failed = list[tuple[Store, dict[str, int]]](), list[StoreError]()
    for store in stores:
        try:
            assert_mounted(store)
            there.append((store, noted_in(store)))
        except StoreError as error:
            failed.append(error)
            done.refused.append(f"{store.name} could not be asked: {error}")
    if failed and not there:
        raise failed[0]
    return there


def _read(there: Iterable[tuple[Store, dict[str, int]]]) -> tuple[dict[str, Decision], list[tuple[str, str]]]:
    """Return what the catalogue does not know, by hash, and what cannot be read: hash and why."""
    found, damaged = dict[str, Decision](), list[tuple[str, str]]()
    decided = known()  # after the objects: what is decided at this moment has its row already
    for store, objects in there:
        for name, size in objects.items():
            sha256 = decision_of(name) or ""
            if sha256 not in decided and sha256 not in found:
                try:
                    found[sha256] = read(store, name, size)
                except BlobDamaged as error:
                    damaged.append((sha256, f"{store.name}: {error}"))
    return found, damaged


def _enter_made(made: list[Decision], done: Entered) -> None:
    """Enter holds and rules, first those that can have their own numbers."""
    for kind in (HOLD, RULE):
        table, name = _TABLES[kind]
        taken = {number for (number,) in lookup_all(table, name)}
        those = sorted((one for one in made if one.kind == kind), key=lambda one: (one.at, one.sha256))
        own = {one.number: one for one in reversed(those) if one.number not in taken}
        for one in sorted(those, key=lambda one: own.get(one.number) is not one):
            done.enter(one, insert_numbered(table, name, dict(one.row), one.number))


def _enter_ends(ends: list[Decision], done: Entered) -> None:
    """Enter ends, by the hash of what they end; of several the first."""
    decided = known()
    ended = {decision.of for decision in decided.values() if decision.of}
    for one in sorted(ends, key=lambda one: (one.at, one.sha256)):
        table, name = _TABLES[one.kind]
        if (of := decided.get(one.of)) is None or of.kind != DECIDED[one.kind].ends:
            done.refused.append(
                f"{one.name} ends what nobody knows. Look for {one.of} below decisions/ in copies of the store; if "
                "there is none, remove the object: what is not known cannot be in force."
            )
        elif one.of not in ended:
            ended.add(one.of)
            with suppress(dj.errors.DuplicateError):  # ended by somebody else at this moment
                with between_sweeps(table):
                    table.insert1({name: of.number, **one.row})
                done.enter(one, of.number)
