"""From the catalogue's rows to people and ties of a window, as the silo measures take them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import duckdb
import pandas as pd

from populate.insight.measure import sql
from populate.snapshot import Snapshot, SnapshotBatch
from populate.staff import is_kept, persons_kept, stints_kept
from schemas.connection import Connection
from schemas.identity import account_id
from schemas.people import Account, Departure, Membership, Person
from schemas.sharing import Access

MONDAY = date(1970, 1, 5)
"""Day 0: a Monday, so that ``day // 7`` counts calendar weeks."""

FOREVER = 10**6
CHUNK = 50_000

# Who read whose data on which day, in the words of the sources.
_EDGES = """
SELECT a.owner_realm, a.owner_login, a.account_realm, a.account_login, a.on_behalf_of,
    CAST(a.accessed_at AS DATE) AS day, COUNT(*) AS events
FROM {access} AS a JOIN {batch} AS b ON b.batch_id = a.batch_id
WHERE b.snapshot_no <= %s AND a.accessed_at >= %s AND a.accessed_at < %s
    AND a.outcome = 'ok' AND a.owner_login <> '' AND a.file_id <> ''
GROUP BY a.owner_realm, a.owner_login, a.account_realm, a.account_login, a.on_behalf_of, CAST(a.accessed_at AS DATE)
"""


@dataclass(frozen=True, slots=True)
class Window:
    """People and ties of a span of days.

    Attributes
    ----------
    people
        person, department; a person is a node ``id@department``, so that a move makes new
        ties and never rewrites old ones.
    ties
        producer, consumer (nodes), weight (accesses), weeks (different ones with an access).
    left_out
        Reason (self, service, unattributed) -> days of access that no tie is made of.
    """

    people: pd.DataFrame
    ties: pd.DataFrame
    left_out: dict[str, int]


def read_window(connection: Connection, snapshot_no: int, days: int) -> Window:
    """Return the window of `days` that ends with the snapshot's day."""
    last: date = (Snapshot() & {"snapshot_no": snapshot_no}).fetch1("snapshot_day")
    first = last - timedelta(days=days - 1)
    with duckdb.connect() as engine:
        persons = _create_edges(engine, connection, snapshot_no, first, last)
        return tie_up(engine, stints_then(snapshot_no), first, last, persons)


class _Positions(dict[str, int]):
    """Numbers persons as they come: a fifth of the time and memory that their names take in joins."""

    def __missing__(self, person: str) -> int:
        self[person] = len(self)
        return self[person]


def _create_edges(
    engine: duckdb.DuckDBPyConnection, connection: Connection, no: int, first: date, last: date
) -> list[str]:
    """Fill the table ``edges``, whose persons are positions in the list returned."""
    engine.execute("CREATE TABLE edges (producer INTEGER, consumer INTEGER, day INTEGER, events BIGINT)")
    persons = _Positions()
    tables = {"access": Access().full_table_name, "batch": SnapshotBatch().full_table_name}
    cursor = connection.query(_EDGES.format(**tables), (no, first, last + timedelta(days=1)))
    person_of = persons_then(no)
    while rows := cursor.fetchmany(CHUNK):
        chunk = pd.DataFrame(_edges(rows, person_of, persons), columns=["producer", "consumer", "day", "events"])  # noqa: F841
        engine.execute("INSERT INTO edges SELECT * FROM chunk")
    return list(persons)


def _edges(
    rows: Iterable[tuple[Any, ...]], person_of: dict[str, str], persons: _Positions
) -> Iterable[tuple[int, int, int, int]]:
    for owner_realm, owner_login, realm, login, on_behalf_of, day, events in rows:
        producer, consumer = account_id(owner_realm, owner_login), account_id(realm, on_behalf_of or login)
        ends = persons[person_of.get(producer, producer)], persons[person_of.get(consumer, consumer)]
        yield *ends, (day - MONDAY).days, events


def stints() -> pd.DataFrame:
    """Return who worked where: person, department, since_day, until_day (exclusive), service.

    A departure ends what began before it, so somebody may come back. A service account needs no
    department to be known as one; who has none, or no longer, is in none.
    """
    departed: dict[str, list[date]] = {}
    for row in Departure.to_dicts():
        departed.setdefault(row["person_id"], []).append(row["departed_on"])
    services = set((Person() & {"person_kind": "service"}).to_arrays("person_id"))
    rows: list[tuple[str, str, int, int, bool]] = []
    later: dict[str, int] = {}
    for row in sorted(Membership.to_dicts(), key=lambda row: row["member_since"], reverse=True):
        person, since = row["person_id"], (row["member_since"] - MONDAY).days
        left = min((day for day in departed.get(person, ()) if day > row["member_since"]), default=None)
        until = min(later.get(person, FOREVER), FOREVER if left is None else (left - MONDAY).days)
        if row["department"]:
            rows.append((person, row["department"], since, until, person in services))
        later[person] = since
    rows += [(person, "", 0, FOREVER, True) for person in services - {row[0] for row in rows}]
    return pd.DataFrame(rows, columns=["person", "department", "since_day", "until_day", "service"])


def stints_then(snapshot_no: int) -> pd.DataFrame:
    """Return who worked where as a snapshot knows it, like `stints`."""
    if not is_kept(snapshot_no):
        return stints()
    return pd.DataFrame(stints_kept(snapshot_no), columns=["person", "department", "since_day", "until_day", "service"])


def persons_then(snapshot_no: int) -> dict[str, str]:
    """Return whose the logins are as a snapshot knows it, by identity; one that is missing is its own person's."""
    if not is_kept(snapshot_no):
        return dict(zip(*Account.to_arrays("account_id", "person_id"), strict=True))
    return persons_kept(snapshot_no)


def tie_up(
    engine: duckdb.DuckDBPyConnection, stints: pd.DataFrame, first: date, last: date, persons: Sequence[str] = ()
) -> Window:
    """Turn the table ``edges`` of `engine` into people and ties by the departments of each day.

    Parameters
    ----------
    stints
        As the function of this name returns them.
    persons
        Given, the edges hold positions in it instead of persons.
    """
    engine.register("stints", _coded(stints, persons) if persons else stints)
    engine.execute(f"CREATE VIEW attributed AS {sql('attributed')}")
    ties = engine.execute(sql("ties")).df()
    left_out = engine.execute(sql("left_out")).fetchall()
    return Window(
        nodes(stints, first, last), _named(ties, persons), {reason: int(rows) for reason, rows, _ in left_out}
    )


def _coded(stints: pd.DataFrame, persons: Sequence[str]) -> pd.DataFrame:
    """Stints with positions for persons; those without an edge have none to be found by."""
    return stints.assign(person=pd.Index(persons).get_indexer(pd.Index(stints["person"])).astype("int32"))


def nodes(stints: pd.DataFrame, first: date, last: date) -> pd.DataFrame:
    """Return person (``id@department``) and department of everybody who was there between two days, these included."""
    begin, end = (first - MONDAY).days, (last - MONDAY).days
    present = stints[~stints["service"] & (stints["since_day"] <= end) & (stints["until_day"] > begin)]
    named = present["person"] + "@" + present["department"]
    frame = pd.DataFrame({"person": named, "department": present["department"]})
    return frame.drop_duplicates("person", ignore_index=True)


def _named(ties: pd.DataFrame, persons: Sequence[str]) -> pd.DataFrame:
    names = pd.Series(persons, dtype=object)

    def node(person: pd.Series[Any], department: pd.Series[Any]) -> pd.Series[Any]:
        named = person.map(names) if persons else person
        return named.astype(object) + "@" + department  # (of no ties at all the persons are numbers still)

    return pd.DataFrame(
        {
            "producer": node(ties["producer"], ties["giving"]),
            "consumer": node(ties["consumer"], ties["receiving"]),
            "weight": ties["weight"],
            "weeks": ties["weeks"],
        }
    )
