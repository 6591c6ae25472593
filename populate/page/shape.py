"""What a file's page is made of. Times are UTC, without a time zone."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime

from populate.profile.view import ProfileView
from populate.who.asker import Colleague
from populate.who.whom import Suggestion


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A version of the file that the asker may know.

    Attributes
    ----------
    label
        What the source calls it, as 3.0; mostly empty.
    author
        Who made it, where that is told: by the source, or by a run that noted what it wrote.
    modified
        When it was made, where that is told.
    readers
        Those of who read it who may be named, by name; the asker is called ``you``.
    backed_up, erased
        Whether its bytes are in the content store, or were ordered to be nowhere any more.
    newest
        It is the newest version that is known.
    """

    version_id: str
    sha256: str
    size: int
    label: str
    author: str
    modified: datetime | None
    first_read: datetime | None
    last_read: datetime | None
    reads: int
    readers: tuple[str, ...]
    backed_up: bool
    erased: bool
    newest: bool


@dataclass(frozen=True, slots=True)
class CopyRow:
    """Another file that the asker may know, and that holds or held the bytes of one of the versions."""

    file_id: str
    name: str
    path: str
    source_system: str
    owner: str
    sha256: str


@dataclass(frozen=True, slots=True)
class SetRow:
    """A folder that was read as a whole, with the file in it; or, of a folder, a file in it."""

    file_id: str
    name: str
    path: str
    member_path: str


@dataclass(frozen=True, slots=True)
class GrantRow:
    """Somebody who may open the file at its source.

    Attributes
    ----------
    kind
        ``account``, ``group`` or ``link``.
    level
        As the source calls it: read, write, owner …
    scope
        Of a link: anonymous, organization, users …; else empty.
    until
        When it runs out; None = never, as far as is told.
    """

    grantee: str
    kind: str
    level: str
    scope: str
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class ReaderRow:
    """A person who reads the file and may be named."""

    person_id: str
    name: str
    department: str
    reads: int
    last_read: datetime


@dataclass(frozen=True, slots=True)
class Receipts:
    """What the owner is told of who uses the file; without the owner's own reads.

    Attributes
    ----------
    readers, departments, analyses
        People, their departments, and different scripts.
    people
        Those of the readers who may be named; who read last comes first.
    """

    readers: int
    departments: int
    analyses: int
    reads: int
    last_read: datetime | None
    people: tuple[ReaderRow, ...]

    def sentence(self) -> str:
        """Return the figures in a sentence."""
        if not self.readers:
            return "Nobody else has read it yet."
        parts = (_many(self.readers, "reader"), _many(self.departments, "department"))
        return ", ".join((*parts, _many(self.analyses, "analysis", "analyses")))


def _many(number: int, one: str, more: str = "") -> str:
    return f"{number:,} {one if number == 1 else more or one + 's'}"


@dataclass(frozen=True, slots=True)
class FilePage:
    """A file, as the asker may see it.

    Attributes
    ----------
    limited
        The asker may not open it and only know that it is there, as its owner chose: title, kind and whom to ask
        are told, everything else is empty.
    kind
        What its name ends with, in lower case: csv, xlsx …; ``folder`` for a file set.
    owner
        None if nobody was named, or who was may not be.
    owned
        The asker owns it.
    gone_on
        The day on which the source said that it is no longer there; None if it is.
    versions
        The newest first. Whoever only read the file is told of what they read.
    members
        Of a folder: the files of its newest version that the asker may know.
    grants
        For the owner all, for others their own.
    receipts
        For the owner, else None.
    profile
        Of the newest version.
    """

    file_id: str
    name: str
    kind: str
    limited: bool
    path: str = ""
    source_system: str = ""
    owner: Colleague | None = None
    owned: bool = False
    gone_on: date | None = None
    versions: tuple[VersionRow, ...] = ()
    copies: tuple[CopyRow, ...] = ()
    file_sets: tuple[SetRow, ...] = ()
    members: tuple[SetRow, ...] = ()
    grants: tuple[GrantRow, ...] = ()
    whom_to_ask: tuple[Suggestion, ...] = ()
    receipts: Receipts | None = None
    profile: ProfileView | None = field(default=None, repr=False)
