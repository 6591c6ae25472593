"""Rules and holds: made, ended, listed. Nothing is overwritten: what held when stays known.

What is decided is in force at once, and is noted down in the content stores as well, if they answer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any

from data_platform.errors import RestrictionError, VersionUnavailable
from data_platform.settings import Settings
from populate.backup.removal import pass_gate, within_transaction
from populate.backup.restorable import person_called
from populate.backup.restore import content_of_prefix
from populate.backup.stores import ContentStore
from populate.retention.decisions import MOST_KEPT
from populate.retention.noting import note_at_once
from populate.retention.references import known_of
from populate.retention.rules import EVERYTHING, KINDS, Hold, Rule, holding
from populate.retention.tables import LegalHold, LegalHoldEnded, RetentionRule, RetentionRuleEnded
from populate.store.base import LAST_NUMBER
from readers.event import consumer
from schemas.binding import Binding
from schemas.engine import dj
from schemas.identity import display_text

_RULE = ("rule_number", "rule_keeps", "rule_amount", "rule_source", "rule_department", "rule_tag")
_HOLD = (
    *("hold_number", "hold_reason", "hold_sha256", "hold_source", "hold_below", "hold_owner"),
    *("hold_department", "hold_tag"),
)
TRIES = 20


def rules() -> list[Rule]:
    """Return the rules in force."""
    ended = {number for (number,) in lookup_all(RetentionRuleEnded, "rule_number")}
    return [Rule(*row) for row in lookup_all(RetentionRule, *_RULE) if row[0] not in ended]


def holds() -> list[Hold]:
    """Return the holds in force."""
    ended = {number for (number,) in lookup_all(LegalHoldEnded, "hold_number")}
    return [Hold(*row) for row in lookup_all(LegalHold, *_HOLD) if row[0] not in ended]


def lookup_all(table: Any, *columns: str) -> list[tuple[Any, ...]]:
    """Return columns of all rows, in the order of their keys: there are few rules and holds."""
    return [tuple(row[name] for name in columns) for row in table.to_dicts(order_by="KEY")]


def add_rule(
    binding: Binding,
    settings: Settings,
    keeps: str,
    amount: int = 0,
    *,
    source: str = "",
    department: str = "",
    tag: str = "",
) -> Rule:
    """Make a rule, for files that fulfil every condition given, and return it.

    Raises
    ------
    RestrictionError
        If it keeps something unknown, or less than one version or day.
    """
    binding.ensure()
    if keeps not in KINDS:
        raise RestrictionError(f"A rule keeps one of {', '.join(KINDS)}, not {keeps[:40]!r}. Name one of these.")
    if keeps != EVERYTHING and not 1 <= amount <= MOST_KEPT:
        raise RestrictionError(f"A rule keeps at least 1 and at most {MOST_KEPT:,} versions or days. Say how many.")
    row = {
        "rule_since": _now(),
        "rule_by": _who(settings),
        "rule_keeps": keeps,
        "rule_amount": 0 if keeps == EVERYTHING else amount,
        "rule_source": display_text(source.strip().lower())[:255],
        "rule_department": display_text(department.strip())[:128],
        "rule_tag": display_text(tag.strip().lower())[:64],
    }
    number = insert_numbered(RetentionRule, "rule_number", row)
    made = next(rule for rule in rules() if rule.number == number)
    note_at_once(settings)
    return made


def end_rule(binding: Binding, settings: Settings, number: int) -> None:
    """End a rule. What only that had let go stays from now on; what only that had kept may go.

    Raises
    ------
    VersionUnavailable
        If no such rule is in force.
    """
    binding.ensure()
    if number not in {rule.number for rule in rules()}:
        raise VersionUnavailable(f"No rule {number} is in force. List them with `data-platform retention`.")
    row = {"rule_number": number, "rule_ended_at": _now(), "rule_ended_by": _who(settings)}
    with between_sweeps(RetentionRuleEnded):
        RetentionRuleEnded.insert1(row)  # a steward may insert only, and skip nothing
    note_at_once(settings)


def hold(
    binding: Binding,
    settings: Settings,
    reason: str,
    *,
    sha256: str = "",
    source: str = "",
    below: str = "",
    owner: str = "",
    department: str = "",
    tag: str = "",
) -> Hold:
    """Order that files that fulfil every condition given are kept, whatever the rules say; without one, all.

    Raises
    ------
    RestrictionError
        If there is no reason.
    VersionUnavailable
        If there is no such content or person, or several.
    """
    binding.ensure()
    if not reason.strip():
        raise RestrictionError("A hold needs a reason, as the number of the case. Give one: it stays in the catalogue.")
    row = {
        "hold_since": _now(),
        "hold_by": _who(settings),
        "hold_reason": display_text(reason.strip())[:512],
        "hold_sha256": content_of_prefix(sha256).sha256 if sha256 else "",
        "hold_source": display_text(source.strip().lower())[:255],
        "hold_below": display_text(below.strip())[:4096],
        "hold_owner": person_called(owner) if owner else "",
        "hold_department": display_text(department.strip())[:128],
        "hold_tag": display_text(tag.strip().lower())[:64],
    }
    number = insert_numbered(LegalHold, "hold_number", row)
    made = next(one for one in holds() if one.number == number)
    note_at_once(settings)
    return made


def release(binding: Binding, settings: Settings, number: int) -> None:
    """Lift a hold.

    Raises
    ------
    VersionUnavailable
        If no such hold is in force.
    """
    binding.ensure()
    if number not in {one.number for one in holds()}:
        raise VersionUnavailable(f"No hold {number} is in force. List them with `data-platform retention`.")
    row = {"hold_number": number, "hold_ended_at": _now(), "hold_ended_by": _who(settings)}
    LegalHoldEnded.insert1(row)
    note_at_once(settings)


def assert_not_held(binding: Binding, sha256: str) -> None:
    """See that no hold keeps a content.

    Raises
    ------
    RestrictionError
        If one does.
    VersionUnavailable
        If no content is known by this hash, or several are.
    """
    binding.ensure()
    content = content_of_prefix(sha256).sha256
    known = known_of(binding, [content], _now().date())[content]
    if (one := holding(content, known, holds())) is not None:
        raise RestrictionError(
            f"Hold {one.number} keeps {content}: {one.reason} Nothing is erased before it is lifted: "
            f"data-platform release {one.number}"
        )


def insert_numbered(table: Any, name: str, row: dict[str, Any], wanted: int = 0) -> int:
    """Insert a row with a number that nobody has yet, and return that: the one that is wanted, if it is free."""
    for _ in range(TRIES):
        taken = {number for (number,) in lookup_all(table, name)}
        number = wanted if wanted and wanted not in taken else _free(taken)
        try:
            with between_sweeps(table):
                table.insert1({name: number, **row})
        except dj.errors.DuplicateError:  # somebody else was faster
            continue
        return int(number)
    raise RestrictionError("Many others write rules at the same time. Try again.")


def _free(taken: Collection[int]) -> int:
    """Return the number after the highest, or once that is the last one the lowest that is free."""
    if (highest := max(taken, default=0)) < LAST_NUMBER:
        return highest + 1
    return next(number for number in count(1) if number not in taken)


@contextmanager
def between_sweeps(table: Any) -> Iterator[None]:
    """Begin a transaction once no sweep is judging: who is told that something is kept may rely on it from then on."""
    connection = table().connection
    with within_transaction(connection):
        for (store_id,) in lookup_all(ContentStore, "store_id"):
            pass_gate(connection, store_id)
        yield


def _who(settings: Settings) -> str:
    login = consumer(settings, None).login
    return display_text(f"{login.realm}/{login.name}")[:255]


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
