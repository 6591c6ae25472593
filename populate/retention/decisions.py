"""What was decided of keeping, as objects in the content stores: they outlive the database.

A hold that is placed or lifted, a rule that is made or ended, is a small JSON object called
``decisions/<time>-<number>-<SHA-256 of its bytes>``. It holds what the row holds but for the number, which may be given
to another decision after the database was restored from an older dump. So the hash is what a decision is known by, and
an end names the hash of what it ends. What is empty is left out, so that columns that tables get later change no hash.

Where contents are sealed these objects are, too: a path in a hold may be a secret. Names tell whoever may list the
store when something was decided, and what number it got.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from data_platform.errors import BlobDamaged, StoreError, StoreFull, StoreSealed, StoreUnavailable
from populate.retention.rules import EVERYTHING, KINDS
from populate.store import Place, Store
from populate.store.base import DECISIONS, Named, decision_of, named
from schemas.identity import display_text

LARGEST = 128 * 1024
"""Bytes up to which an object is read: no decision is as large."""

MOST_KEPT = 100_000
"""Versions or days that a rule keeps at most."""

ADVICE = (
    "Put it back from a copy of the store. If there is none and you know what was decided, remove the object and "
    "decide anew; until then nothing is removed from the store, for it may be a hold."
)


class Kind(NamedTuple):
    """A kind of decision: the columns of its rows, and of texts the most characters.

    Attributes
    ----------
    at
        Column of when it was decided.
    needed
        Columns of texts that are never empty, and their most characters; first that of who decided it.
    texts
        Those of the other texts.
    numbers
        Columns of numbers.
    ends
        What it ends, if it ends something.
    """

    at: str
    needed: Mapping[str, int]
    texts: Mapping[str, int] = MappingProxyType({})
    numbers: tuple[str, ...] = ()
    ends: str = ""


HOLD, RELEASE, RULE, RULE_END = "hold", "release", "rule", "end of rule"
DECIDED: Mapping[str, Kind] = MappingProxyType(
    {
        HOLD: Kind(
            "hold_since",
            {"hold_by": 255, "hold_reason": 512},
            {
                **{"hold_sha256": 64, "hold_source": 255, "hold_below": 4096, "hold_owner": 32},
                **{"hold_department": 128, "hold_tag": 64},
            },
        ),
        RELEASE: Kind("hold_ended_at", {"hold_ended_by": 255}, ends=HOLD),
        RULE: Kind(
            "rule_since",
            {"rule_by": 255, "rule_keeps": 16},
            {"rule_source": 255, "rule_department": 128, "rule_tag": 64},
            ("rule_amount",),
        ),
        RULE_END: Kind("rule_ended_at", {"rule_ended_by": 255}, ends=RULE),
    }
)


@dataclass(frozen=True, slots=True)
class Decision:
    """Something that was decided.

    Attributes
    ----------
    kind
        One of `DECIDED`.
    number
        Of the hold or rule.
    row
        The other columns of its row.
    of
        SHA-256 of the decision that it ends, if it ends one.
    """

    kind: str
    number: int
    row: Mapping[str, Any]
    of: str = ""

    @classmethod
    def of_row(cls, kind: str, number: int, row: Mapping[str, Any], of: str = "") -> Decision:
        """Return the decision of a row, which may have further columns."""
        at, needed, texts, numbers, _ = DECIDED[kind]
        told = {at: row[at], **{name: str(row[name]) for name in (*needed, *texts)}}
        return cls(kind, int(number), told | {name: int(row[name]) for name in numbers}, of)

    @property
    def at(self) -> datetime:
        """When it was decided, UTC."""
        found = self.row[DECIDED[self.kind].at]
        assert isinstance(found, datetime)
        return found

    @property
    def content(self) -> bytes:
        """The bytes that are kept."""
        told = {
            "decision": self.kind,
            "of": self.of,
            **self.row,
            DECIDED[self.kind].at: self.at.isoformat("T", "microseconds"),
        }
        filled = {name: value for name, value in told.items() if value}
        return f"{json.dumps(filled, ensure_ascii=False, sort_keys=True)}\n".encode()

    @property
    def sha256(self) -> str:
        """What it is known by."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def name(self) -> str:
        """The object's name."""
        return f"{DECISIONS}{self.at:%Y%m%dT%H%M%S.%fZ}-{self.number}-{self.sha256}"

    def __str__(self) -> str:
        by, *others = (kind := DECIDED[self.kind]).needed
        told = ((name.partition("_")[2], self.row[name]) for name in (*others, *kind.numbers, *kind.texts))
        what = ", ".join(f"{name} {value}" for name, value in told if value)
        said = f"{self.kind} {self.number} of {self.at:%Y-%m-%d %H:%M} UTC by {self.row[by]}"
        return f"{said}: {what}" if what else said


def decoded(name: str, content: bytes) -> Decision:
    """Return the decision that an object holds.

    Raises
    ------
    BlobDamaged
        If its bytes are not those that its name tells, or no decision that this release knows.
    """
    told = _named(name)
    if hashlib.sha256(content).hexdigest() != told.sha256:
        raise BlobDamaged(f"{name} is damaged: its bytes do not have the hash of its name. {ADVICE}")
    try:
        found = _told(json.loads(content), told.number)
        is_as_written = (found.name, found.content) == (name, content)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        is_as_written = False
    if not is_as_written or not _is_sound(found):
        raise BlobDamaged(
            f"{name} is no decision that this release knows: a newer one wrote it, or somebody else. Look who put it "
            f"there, or run `data-platform rebuild` of that release. {ADVICE}"
        )
    return found


def _named(name: str) -> Named:
    if (found := named(name)) is None:
        raise BlobDamaged(
            f"{name} has no name of a decision. Look who put it there, and remove it if it is somebody's own. {ADVICE}"
        )
    return found


def _told(told: dict[str, Any], number: int) -> Decision:
    kind = DECIDED[told["decision"]]
    filled = dict.fromkeys((*kind.needed, *kind.texts), "") | dict.fromkeys(kind.numbers, 0) | told
    filled[kind.at] = datetime.fromisoformat(told[kind.at])
    row = {name: filled[name] for name in (kind.at, *kind.needed, *kind.texts, *kind.numbers)}
    return Decision(told["decision"], number, row, told.get("of", ""))


def _is_sound(decision: Decision) -> bool:
    """Tell whether a row can have these values. That nothing else was told, the comparison of bytes has shown."""
    kind, row = DECIDED[decision.kind], decision.row
    return (
        decision.at.tzinfo is None
        and all(_is_text(row[name], most) for name, most in (*kind.needed.items(), *kind.texts.items()))
        and all(row[name] for name in kind.needed)
        and _is_text(decision.of, 64)
        and bool(decision.of) == bool(kind.ends)
        and (decision.kind != RULE or _is_rule(row["rule_keeps"], row["rule_amount"]))
    )


def _is_text(value: object, most: int) -> bool:
    return isinstance(value, str) and len(value) <= most and display_text(value) == value


def _is_rule(keeps: str, amount: object) -> bool:
    if type(amount) is not int or keeps not in KINDS:
        return False
    return amount == 0 if keeps == EVERYTHING else 1 <= amount <= MOST_KEPT


def noted_in(store: Store) -> dict[str, int]:
    """Return the names of what a store holds below ``decisions/``, and how many bytes each has.

    Raises
    ------
    StoreUnavailable, StoreError
        If the store does not answer, or cannot list them.
    """
    return dict(store.objects(DECISIONS))


def hashes(names: Mapping[str, int]) -> set[str]:
    """Return what the decisions are known by that have these names."""
    return {sha256 for name in names if (sha256 := decision_of(name))}


def read(store: Store, name: str, size: int) -> Decision:
    """Return a decision from a store.

    Raises
    ------
    BlobDamaged
        If it cannot be read, or is none.
    StoreUnavailable
        If the store does not answer.
    """
    _named(name)
    try:
        if not 0 < size <= LARGEST:
            raise BlobDamaged(f"It has {size:,} bytes.")
        content = b"".join(store.read(Place(name, 0, size)))
    except StoreSealed as error:
        raise BlobDamaged(f"{name} cannot be read: {error}") from error
    except StoreUnavailable:
        raise
    except StoreError as error:  # of this object, as where the disk has a bad sector
        raise BlobDamaged(f"{name} cannot be read: {error} {ADVICE}") from error
    return decoded(name, content)


def write(store: Store, decision: Decision, damaged: str = "") -> None:
    """Keep a decision in a store; twice is once.

    Parameters
    ----------
    damaged
        Name of the object that is to be replaced, if it is there and cannot be read.

    Raises
    ------
    StoreUnavailable, StoreError
        If the store does not take it.
    """
    content, name = decision.content, damaged or decision.name
    try:
        with store.writer(decision.sha256, len(content)) as writer:
            writer.stored_as, writer.replace = name, bool(damaged)
            writer.write(content)
            writer.commit()
    except (StoreUnavailable, StoreFull):
        raise
    except StoreError as error:
        raise StoreError(f"{name} is not noted down: {error} Then run `data-platform retain`.") from error
