"""Takes in what a directory says: reads it, compares it with the tables, and adds what is new in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from data_platform.errors import DirectoryUnavailable
from populate.directory.feeds import Position, positions
from populate.directory.known import read_known
from populate.directory.picture import Picture
from populate.directory.plan import Wanted, plan
from populate.directory.rows import Rows
from populate.lookup import add
from populate.work.contention import persist
from populate.work.lease import Lease
from schemas import conversation, directory, people
from schemas.binding import Binding

Say = Callable[[str], object]
CHUNK = 1000

# Parents first, and always in this order, so that nobody waits for somebody else in a circle.
TABLES: Mapping[str, Any] = {
    table.__name__: table
    for table in (
        *(people.Person, people.Department, people.Account, people.AccountName, directory.DirectoryEntry),
        *(directory.AccountState, directory.AccountMoved, directory.PersonName, conversation.MailAddress),
        *(people.Membership, people.Departure, directory.DirectoryGroup, directory.GroupName),
        *(directory.GroupMember, directory.GroupMemberEnded, directory.GroupNested, directory.GroupNestedEnded),
        *(directory.GroupGone, directory.Feed, directory.FeedPosition),
    )
}


@dataclass(slots=True)
class SyncResult:
    """What a directory told that was new.

    Attributes
    ----------
    full
        Everything was asked for, not only what has changed.
    told
        Accounts that it spoke of.
    new, changed, renamed
        Accounts.
    disabled, deleted, enabled
        Accounts whose state is another one now.
    joined
        Accounts that turned out to belong to somebody else than was thought.
    moved, left, back
        People who changed their department, have left, have come back.
    odd
        Sentences about what was left as it is.
    """

    origin: str
    full: bool = True
    dry_run: bool = False
    told: int = 0
    new: int = 0
    changed: int = 0
    renamed: int = 0
    enabled: int = 0
    disabled: int = 0
    deleted: int = 0
    joined: int = 0
    moved: int = 0
    left: int = 0
    back: int = 0
    departments: int = 0
    groups: int = 0
    groups_gone: int = 0
    members_joined: int = 0
    members_left: int = 0
    odd: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        return asdict(self)


@contextmanager
def _alone(binding: Binding) -> Any:
    with Lease(binding, "sync people").held() as held:
        if not held:
            raise DirectoryUnavailable("Another process is reading the directory just now. Try again when it is done.")
        yield


def take_in(
    binding: Binding,
    origin: str,
    read: Callable[[Mapping[str, Position]], Picture],
    *,
    now: datetime | None = None,
    allow_drop: bool = False,
    dry_run: bool = False,
    say: Say = lambda text: None,
) -> SyncResult:
    """Take in what `read` returns; the same rows however often it is done.

    Parameters
    ----------
    origin
        What is read, for the result.
    read
        Reads the directory, given how far each of its feeds was read.
    now
        UTC, without a zone; default: this moment.
    allow_drop
        Believe it even if most people have left.
    dry_run
        Change nothing.
    say
        Is told what is being done.

    Raises
    ------
    DirectoryError
        If the directory does not answer, not fully, or says what cannot be believed: then nothing has changed.
    """
    settings = binding.settings
    with _alone(binding):
        picture = read(positions(binding))
        say(f"comparing {len(picture.people)} accounts and {len(picture.groups)} groups with what is known")
        moment = now or datetime.now(UTC).replace(tzinfo=None)
        share = 1.0 if allow_drop else settings.directory.max_drop
        wanted = Wanted(settings.realm, settings.directory.join, share)
        rows = persist(lambda: _write(binding, picture, moment, wanted, dry_run))
    told = {name: number for name, number in rows.counts.items() if name in SyncResult.__dataclass_fields__}
    return SyncResult(origin, "person" in picture.complete, dry_run, len(picture.people), odd=rows.odd, **told)


def _write(binding: Binding, picture: Picture, now: datetime, wanted: Wanted, dry_run: bool) -> Rows:
    with binding.transaction():
        rows = plan(read_known(binding), picture, now, wanted)
        if not dry_run:
            _feeds(rows, picture, positions(binding), now)
            _insert(binding, rows)
    return rows


def _feeds(rows: Rows, picture: Picture, before: Mapping[str, Position], now: datetime) -> None:
    for feed, token in sorted(picture.positions.items()):
        number = before[feed].number + 1 if feed in before else 1
        rows.add("Feed", feed=feed)
        rows.add("FeedPosition", feed=feed, position_no=number, position_token=token, position_at=now)


def _insert(binding: Binding, rows: Rows) -> None:
    finished = rows.finished()
    for name, table in TABLES.items():
        found = finished.get(name, [])
        for start in range(0, len(found), CHUNK):
            add(table, found[start : start + CHUNK])
        if name == "Account":
            _mend(binding, rows)


def _mend(binding: Binding, rows: Rows) -> None:
    """Change whose an account is and what people are called: the only rows that are changed, and what was is kept."""
    query = binding.connection.query
    account, person = people.Account().full_table_name, people.Person().full_table_name
    for moved, to in sorted(rows.moves.items()):
        query(f"UPDATE {account} SET person_id = %s WHERE account_id = %s", (to, moved))  # noqa: S608
    for identifier, (name, kind) in sorted(rows.called.items()):
        values = (name, kind, identifier)
        query(f"UPDATE {person} SET full_name = %s, person_kind = %s WHERE person_id = %s", values)  # noqa: S608
