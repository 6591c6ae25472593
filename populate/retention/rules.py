"""Whether there is a reason to keep a content: pure functions of what is known about it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

EVERYTHING, VERSIONS, DAYS = "everything", "versions", "days"
KINDS = (EVERYTHING, VERSIONS, DAYS)

NO_FILE = "no file is known that has it"
"""The reason to keep what has a place, but no file."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What rules and holds ask of a file.

    Attributes
    ----------
    source
        Its source system.
    department
        Where its owner works; empty if that is not known.
    tags
        That it has.
    paths
        Under which it was ever met.
    owners, departments
        Whose it ever was (person_id), and wherever these ever worked.
    """

    source: str
    department: str = ""
    tags: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()
    owners: frozenset[str] = frozenset()
    departments: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class State:
    """A file with a content.

    Attributes
    ----------
    file
        The file.
    newer
        How many other contents of it were met later; None if nobody knows.
    used_at
        When it was last read or written with this content, UTC; None if nobody knows.
    pending
        A backup or an adoption that brings it is not done.
    """

    file: FileFacts
    newer: int | None = None
    used_at: datetime | None = None
    pending: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """For how long contents of certain files are kept; empty conditions stand for any."""

    number: int
    keeps: str
    amount: int = 0
    source: str = ""
    department: str = ""
    tag: str = ""

    def covers(self, file: FileFacts) -> bool:
        """Tell whether it is about a file."""
        return (
            self.source in ("", file.source)
            and (not self.department or self.department.casefold() == file.department.casefold())
            and (not self.tag or self.tag in file.tags)
        )

    def keeps_state(self, state: State, now: datetime) -> bool:
        """Tell whether it has a file's content kept; what is not known counts in favour of that."""
        if self.keeps == VERSIONS:
            return state.newer is None or state.newer < self.amount
        if self.keeps == DAYS:
            return state.used_at is None or state.used_at > now - timedelta(days=self.amount)
        return True

    def __str__(self) -> str:
        kept = {VERSIONS: f"the latest {self.amount} versions", DAYS: f"{self.amount} days after the last access"}
        about = [("of", self.source), ("of the department", self.department), ("with the tag", self.tag)]
        scope = " ".join(f"{word} {value}" for word, value in about if value)
        return f"{kept.get(self.keeps, EVERYTHING)}, files {scope or 'of any kind'}"


@dataclass(frozen=True, slots=True)
class Hold:
    """What must not go: files, or contents, that fulfil every condition that is not empty; with none, everything."""

    number: int
    reason: str
    sha256: str = ""
    source: str = ""
    below: str = ""
    owner: str = ""
    department: str = ""
    tag: str = ""

    def covers(self, sha256: str, file: FileFacts) -> bool:
        """Tell whether it is about a content of a file."""
        folder = self.below.rstrip("/")
        departments = {department.casefold() for department in file.departments}
        return (
            self.sha256 in ("", sha256)
            and self.source in ("", file.source)
            and (not self.below or any(path == folder or path.startswith(f"{folder}/") for path in file.paths))
            and (not self.owner or self.owner in file.owners)
            and (not self.department or self.department.casefold() in departments)
            and (not self.tag or self.tag in file.tags)
        )

    def __str__(self) -> str:
        about = [
            *(("content", self.sha256[:12]), ("of", self.source), ("below", self.below), ("of person", self.owner)),
            *(("of the department", self.department), ("with the tag", self.tag)),
        ]
        scope = " ".join(f"{word} {value}" for word, value in about if value)
        return f"{scope or 'everything'}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a content.

    Attributes
    ----------
    states
        Files that have it, and sets of files that contain such.
    elsewhere
        Further mentions of it, each a reason to keep it.
    """

    states: Sequence[State] = ()
    elsewhere: Collection[str] = field(default=())


def reason_to_keep(sha256: str, known: Known, rules: Sequence[Rule], holds: Iterable[Hold], now: datetime) -> str:
    """Return why a content is kept, in a few words; empty if there is no reason."""
    if (hold := holding(sha256, known, holds)) is not None:
        return f"legal hold {hold.number}: {hold.reason}"
    if known.elsewhere:
        return min(known.elsewhere)
    if not known.states:
        return NO_FILE
    return next(filter(None, (_reason(state, rules, now) for state in known.states)), "")


def holding(sha256: str, known: Known, holds: Iterable[Hold]) -> Hold | None:
    """Return a hold that keeps a content, or None."""
    for hold in holds:
        if _is_bare(hold, sha256) or any(hold.covers(sha256, state.file) for state in known.states):
            return hold
    return None


def _reason(state: State, rules: Sequence[Rule], now: datetime) -> str:
    if state.pending:
        return "a backup that brings it is not done"
    covering = [rule for rule in rules if rule.covers(state.file)]
    if not covering:
        return "no rule covers it"
    return next((f"rule {rule.number}: {rule}" for rule in covering if rule.keeps_state(state, now)), "")


def _is_bare(hold: Hold, sha256: str) -> bool:
    """Tell whether a hold is about a content whatever its files, which may not even be known."""
    return hold.sha256 in ("", sha256) and not (hold.source or hold.below or hold.owner or hold.department or hold.tag)
