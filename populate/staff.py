"""Who worked where, and whose a login was, as it was known when a snapshot was taken.

What people and directories say of that is mended later: a membership is entered late, a login turns
out to be somebody else's. A figure that is computed anew is to say what it said, so each snapshot
keeps what it knew: only of those people and logins of which that had changed since the one before.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from populate.snapshot import Snapshot, keep  # noqa: F401  (foreign key)
from schemas.engine import dj
from schemas.people import Account, Person  # noqa: F401  (foreign keys)

schema = dj.Schema()

Stint = tuple[str, str, int, int, bool]
"""Person, department, first day and first day after it (as `window.stints` counts), whether a service account."""

NOWHERE = ("", 0, 0, False)
"""Stands for a person of whom nothing is known any more."""


@schema
class SnapshotStaff(dj.Manual):
    definition = """
    # A snapshot keeps who worked where; those of earlier releases do not
    -> Snapshot
    """


@schema
class SnapshotStint(dj.Manual):
    definition = """
    # When somebody worked where, as a snapshot knows it; rows only of people of whom that had changed
    -> Snapshot
    -> Person
    stint_since : int32 # first day, counted from Monday, 5 January 1970
    ---
    stint_until : int32 # first day after it, counted likewise
    stint_department : varchar(128) # as it was called then; empty = none
    stint_service : bool # a service account
    """


@schema
class SnapshotLogin(dj.Manual):
    definition = """
    # Whose a login is, as a snapshot knows it; rows only of logins of which that had changed
    -> Snapshot
    -> Account
    ---
    -> Person
    """


_STINTS = """
SELECT t.person_id, t.stint_department, t.stint_since, t.stint_until, t.stint_service
FROM {stint} t
JOIN (SELECT s.person_id, MAX(s.snapshot_no) AS snapshot_no FROM {stint} s
      WHERE s.snapshot_no <= %s GROUP BY s.person_id) l
    ON l.person_id = t.person_id AND l.snapshot_no = t.snapshot_no
"""
_LOGINS = """
SELECT t.account_id, t.person_id
FROM {login} t
JOIN (SELECT s.account_id, MAX(s.snapshot_no) AS snapshot_no FROM {login} s
      WHERE s.snapshot_no <= %s GROUP BY s.account_id) l
    ON l.account_id = t.account_id AND l.snapshot_no = t.snapshot_no
"""


def is_kept(snapshot_no: int) -> bool:
    """Tell whether a snapshot knows who worked where."""
    return bool(SnapshotStaff() & {"snapshot_no": snapshot_no})


def stints_kept(snapshot_no: int) -> list[Stint]:
    """Return who worked where, as a snapshot knows it."""
    rows = sorted(_query(_STINTS, snapshot_no))
    return [(person, place, since, until, bool(service)) for person, place, since, until, service in rows if until]


def persons_kept(snapshot_no: int) -> dict[str, str]:
    """Return whose the logins are, as a snapshot knows it; one that is missing is its own person's."""
    return dict(_query(_LOGINS, snapshot_no))


def _query(statement: str, snapshot_no: int) -> list[tuple[Any, ...]]:
    names = {"stint": SnapshotStint().full_table_name, "login": SnapshotLogin().full_table_name}
    rows: list[tuple[Any, ...]] = SnapshotStint().connection.query(statement.format(**names), (snapshot_no,)).fetchall()
    return rows


def _keep(snapshot_no: int) -> None:
    from populate.insight.window import stints  # with data frames, which nobody else needs who takes a snapshot

    frame = stints()
    rows: list[Stint] = list(zip(*(frame[column].tolist() for column in frame), strict=True))
    was, now = _by_person(stints_kept(snapshot_no)), _by_person(rows)
    changed = sorted(person for person in was.keys() | now.keys() if was.get(person) != now.get(person))
    SnapshotStaff.insert1({"snapshot_no": snapshot_no})
    names = ("stint_department", "stint_since", "stint_until", "stint_service")
    SnapshotStint.insert(
        (
            {"snapshot_no": snapshot_no, "person_id": person, **dict(zip(names, stint, strict=True))}
            for person in changed
            for stint in sorted(now.get(person, {NOWHERE}))
        ),
        chunk_size=5000,
    )
    _keep_logins(snapshot_no)


def _by_person(stints: list[Stint]) -> dict[str, set[tuple[str, int, int, bool]]]:
    found: defaultdict[str, set[tuple[str, int, int, bool]]] = defaultdict(set)
    for person, department, since, until, service in stints:
        found[person].add((department, since, until, service))
    return found


def _keep_logins(snapshot_no: int) -> None:
    was = persons_kept(snapshot_no)
    owners = zip(*(column.tolist() for column in Account.to_arrays("account_id", "person_id")), strict=True)
    changed = [(account, person) for account, person in owners if was.get(account, account) != person]
    SnapshotLogin.insert(
        (
            {"snapshot_no": snapshot_no, "account_id": account, "person_id": person}
            for account, person in sorted(changed)
        ),
        chunk_size=5000,
    )


keep(_keep, SnapshotStaff, SnapshotStint, SnapshotLogin)
