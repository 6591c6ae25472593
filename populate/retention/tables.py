"""What may go from the content store, what must not, and what waits to go. All dated, none overwritten."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from data_platform.settings import settings
from populate.backup.stores import ContentStore  # noqa: F401  (definitions refer to it)
from populate.backup.tables import assert_mounted, ready_store
from populate.retention.decisions import HOLD, RELEASE, RULE, RULE_END, Decision, hashes, noted_in, write
from populate.store import Store
from schemas.catalogue import Blob  # noqa: F401
from schemas.engine import dj

schema = dj.Schema()


class NotedDown:
    """Has a decision noted down in a store, for each decision and store; before `dj.Computed`.

    Attributes
    ----------
    store
        Of an instance, whose caller has opened it; None stands for that of the settings.
    """

    store: Store | None = None
    noted: tuple[str, str]

    def decision(self, key: dict[str, Any]) -> Decision:
        """Return what was decided."""
        raise NotImplementedError

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Return what was decided."""
        decided = self.decision(key)
        return decided.kind, decided.number, tuple(decided.row.items()), decided.of

    def make_compute(self, key: dict[str, Any], kind: str, number: int, row: Any, of: str) -> tuple[Any, ...]:
        """Write the object unless it is there; outside the transaction, and harmless to repeat."""
        store, decided = self.store or ready_store(settings(), key["store_id"]), Decision(kind, number, dict(row), of)
        assert_mounted(store)
        if decided.sha256 not in hashes(noted_in(store)):  # perhaps with the number that it had in another database
            write(store, decided)
        return (decided.sha256,)

    def make_insert(self, key: dict[str, Any], sha256: str) -> None:
        """Record it; whoever notes down the same at the same time has written the same object."""
        at, known_by = self.noted
        now = datetime.now(UTC).replace(tzinfo=None)
        self.insert1({**key, at: now, known_by: sha256})  # type: ignore[attr-defined]


@schema
class RetentionRule(dj.Manual):
    definition = """
    # For how long contents of certain files are kept; of several rules for a file the most generous one decides
    rule_number : int32 # from 1
    ---
    rule_since : datetime(6) # UTC
    rule_by : varchar(255) # realm and login of whoever made it
    rule_keeps : varchar(16) # everything | versions | days
    rule_amount : int32 # of the latest versions of a file, or days after the last access; 0 with everything
    rule_source='' : varchar(255) # only files of this source system; empty = any
    rule_department='' : varchar(128) # only files whose owner works in this department; empty = any
    rule_tag='' : varchar(64) # only files with this tag; empty = any
    """


@schema
class RetentionRuleEnded(dj.Manual):
    definition = """
    # A rule does not hold any more
    -> RetentionRule
    ---
    rule_ended_at : datetime(6) # UTC
    rule_ended_by : varchar(255) # realm and login
    """


@schema
class LegalHold(dj.Manual):
    definition = """
    # What must not go, whatever the rules say: files that fulfil every condition that is not empty
    hold_number : int32 # from 1
    ---
    hold_since : datetime(6) # UTC
    hold_by : varchar(255) # realm and login of whoever ordered it
    hold_reason : varchar(512)
    hold_sha256='' : varchar(64) # this content
    hold_source='' : varchar(255) # of this source system
    hold_below='' : varchar(4096) # this path, or below it, under whatever name it was met
    hold_owner='' : varchar(32) # of this person (person_id), now or ever
    hold_department='' : varchar(128) # of owners who work, or ever worked, in this department
    hold_tag='' : varchar(64) # with this tag
    """


@schema
class LegalHoldEnded(dj.Manual):
    definition = """
    # A hold was lifted
    -> LegalHold
    ---
    hold_ended_at : datetime(6) # UTC
    hold_ended_by : varchar(255) # realm and login
    """


@schema
class LegalHoldNoted(NotedDown, dj.Computed):
    definition = """
    # A hold is noted down in a store, which outlives the database
    -> LegalHold
    -> ContentStore
    ---
    hold_noted_at : datetime(6) # UTC
    hold_noted_sha256 : char(64) # of the object below decisions/
    """
    noted = ("hold_noted_at", "hold_noted_sha256")

    def decision(self, key: dict[str, Any]) -> Decision:
        """Return the hold."""
        return hold_of(key)


@schema
class LegalHoldEndNoted(NotedDown, dj.Computed):
    definition = """
    # That a hold was lifted is noted down in a store
    -> LegalHoldEnded
    -> ContentStore
    ---
    hold_end_noted_at : datetime(6) # UTC
    hold_end_noted_sha256 : char(64) # of the object below decisions/
    """
    noted = ("hold_end_noted_at", "hold_end_noted_sha256")

    def decision(self, key: dict[str, Any]) -> Decision:
        """Return the end, which names the hold by its hash."""
        row = (LegalHoldEnded() & key).fetch1()
        return Decision.of_row(RELEASE, row["hold_number"], row, hold_of(key).sha256)


@schema
class RetentionRuleNoted(NotedDown, dj.Computed):
    definition = """
    # A rule is noted down in a store
    -> RetentionRule
    -> ContentStore
    ---
    rule_noted_at : datetime(6) # UTC
    rule_noted_sha256 : char(64) # of the object below decisions/
    """
    noted = ("rule_noted_at", "rule_noted_sha256")

    def decision(self, key: dict[str, Any]) -> Decision:
        """Return the rule."""
        return rule_of(key)


@schema
class RetentionRuleEndNoted(NotedDown, dj.Computed):
    definition = """
    # That a rule does not hold any more is noted down in a store
    -> RetentionRuleEnded
    -> ContentStore
    ---
    rule_end_noted_at : datetime(6) # UTC
    rule_end_noted_sha256 : char(64) # of the object below decisions/
    """
    noted = ("rule_end_noted_at", "rule_end_noted_sha256")

    def decision(self, key: dict[str, Any]) -> Decision:
        """Return the end, which names the rule by its hash."""
        row = (RetentionRuleEnded() & key).fetch1()
        return Decision.of_row(RULE_END, row["rule_number"], row, rule_of(key).sha256)


def hold_of(key: dict[str, Any]) -> Decision:
    """Return the hold of a key."""
    row = (LegalHold() & {"hold_number": key["hold_number"]}).fetch1()
    return Decision.of_row(HOLD, row["hold_number"], row)


def rule_of(key: dict[str, Any]) -> Decision:
    """Return the rule of a key."""
    row = (RetentionRule() & {"rule_number": key["rule_number"]}).fetch1()
    return Decision.of_row(RULE, row["rule_number"], row)


@schema
class Quarantine(dj.Manual):
    definition = """
    # A content that nothing keeps in a store: it goes if that is still so after a set time
    -> Blob
    -> ContentStore
    quarantined_at : datetime(6) # UTC
    """


@schema
class QuarantineEnd(dj.Manual):
    definition = """
    # What became of it
    -> Quarantine
    ---
    quarantine_ended_at : datetime(6) # UTC
    quarantine_outcome : varchar(16) # kept: there is a reason to; swept: it has no place in this store any more
    """


@schema
class Stray(dj.Manual):
    definition = """
    # An object to which no row leads: whoever wrote it was killed, or is about to record it
    -> ContentStore
    object_id : char(32) # identity of its name
    stray_since : datetime(6) # UTC, when it was met first
    ---
    object_name : varchar(255) # within the store
    stray_bytes : int64 # bytes of it
    """


@schema
class StrayEnd(dj.Manual):
    definition = """
    # What became of it
    -> Stray
    ---
    stray_ended_at : datetime(6) # UTC
    stray_outcome : varchar(16) # recorded: a row leads to it; gone: it is not there any more; swept
    """
