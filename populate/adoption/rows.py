"""The rows of `Adoption`, from what a snapshot covers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from functools import lru_cache
from statistics import median
from typing import Any, NamedTuple

from populate.adoption.close import LOGS, Parts, close_parts, parts_of
from populate.adoption.reads import Read, is_foreign
from populate.adoption.statements import statement
from populate.insight.standing import compared, few_changed, taken
from populate.insight.window import MONDAY, persons_then, stints_then
from populate.snapshot import Snapshot
from schemas.connection import Connection
from schemas.identity import account_id

WINDOW_DAYS = 30
SURVEY_DAYS = 92
PROOF_DAYS = 30
SHARED_DAYS = 2
"""Days that the windows of two months may have in common."""

CHUNK = 50_000

Row = dict[str, Any]
_account_id = lru_cache(maxsize=10_000)(account_id)


class AdoptionRows(NamedTuple):
    """The row of `Adoption` and those of its parts, without the snapshot."""

    organisation: Row
    departments: list[Row]
    sources: list[Row]
    proof: Row
    asked: Row
    close: list[Row]


class Staff:
    """Who worked where and when, and whose a login is, as a snapshot knows it."""

    def __init__(self, snapshot_no: int) -> None:
        self._person_of = persons_then(snapshot_no)
        self._stints: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
        self.services: set[str] = set()
        columns = ("person", "since_day", "until_day", "department", "service")
        frame = stints_then(snapshot_no)
        for person, since, until, department, service in zip(*(frame[c].tolist() for c in columns), strict=True):
            if service:
                self.services.add(person)
            else:
                self._stints[person].append((since, until, department))

    def person(self, realm: str, login: str) -> str:
        return self.person_of(_account_id(realm, login))

    def person_of(self, account: str) -> str:
        return self._person_of.get(account, account)

    def department(self, person: str, day: date) -> str:
        number = (day - MONDAY).days
        return next((d for since, until, d in self._stints.get(person, ()) if since <= number < until), "")

    def present(self, first: date, last: date) -> dict[str, set[str]]:
        """Return the people of each department in the days from `first` to `last`."""
        begin, end = (first - MONDAY).days, (last - MONDAY).days
        found: dict[str, set[str]] = defaultdict(set)
        for person, periods in self._stints.items():
            for since, until, department in periods:
                if since <= end and until > begin:
                    found[department].add(person)
        return found


def adoption_rows(connection: Connection, snapshot_no: int) -> AdoptionRows:
    """Return how the catalogue was used up to a snapshot."""
    values = _values(snapshot_no)
    staff = Staff(snapshot_no)
    reads = [*_reads(connection, staff, values)]
    people = staff.present(values["since"], values["until"] - timedelta(days=1))
    audited = _audited(connection, staff, values)
    elsewhere: dict[str, set[str]] = {"": set()} if any(not place for place, _ in audited) else {}
    departments = [
        row | coverage_of([seen for place, seen in audited if place == row["department"]])
        for row in by_department(reads, people | elsewhere, staff.services)
    ]
    organisation = {
        "window_days": WINDOW_DAYS,
        "people_count": len(set().union(*people.values())),
        **totals(reads, staff.services),
        **_held(connection, values),
        **coverage_of([seen for _, seen in audited]),
        **interval([*_answers(connection, values).values()]),
    }
    proven = int(connection.query(statement("proven"), values).fetchone()[0])
    proof = {"proof_days": PROOF_DAYS, "content_proven": proven}
    asked = {"asked_count": int(connection.query(statement("asked"), values).fetchone()[0])}
    close = _close(connection, snapshot_no, parts_of(reads, staff.services))
    return AdoptionRows(organisation, departments, by_source(reads, staff.services), proof, asked, close)


def _values(snapshot_no: int) -> Row:
    snapshot = (Snapshot() & {"snapshot_no": snapshot_no}).fetch1()
    last: date = snapshot["snapshot_day"]
    return {
        "number": snapshot_no,
        "taken": snapshot["taken_at"],
        "since": last - timedelta(days=WINDOW_DAYS - 1),
        "until": last + timedelta(days=1),
        "survey_since": last - timedelta(days=SURVEY_DAYS - 1),
        # Whole days: what is read back later on the day on which the snapshot was taken does not count.
        "proven_since": snapshot["taken_at"].date() - timedelta(days=PROOF_DAYS),
        "proven_until": snapshot["taken_at"].date(),
    }


def _answers(connection: Connection, values: Mapping[str, Any]) -> dict[str, float]:
    """Return the latest answer of each person to the survey."""
    return {person: float(hours) for person, hours in connection.query(statement("survey"), values).fetchall()}


def _told(connection: Connection, snapshot_no: int) -> dict[tuple[str, str], float]:
    return {("", person): hours for person, hours in _answers(connection, _values(snapshot_no)).items()}


def _close(connection: Connection, snapshot_no: int, parts: Parts) -> list[Row]:
    """Return what changed by too little since the earlier snapshots that are shown."""
    snapshots = taken()
    found: list[Row] = []
    for other in compared(snapshot_no, snapshots, WINDOW_DAYS, shared=SHARED_DAYS):
        staff = Staff(other.number)
        before = parts_of(_reads(connection, staff, _values(other.number)), staff.services)
        found += [{"since_no": other.number, **row} for row in (*close_parts(before, parts), LOGS)]
    for other in compared(snapshot_no, snapshots, SURVEY_DAYS):
        was, now = (_told(connection, number) for number in (other.number, snapshot_no))
        if few_changed(was, now):
            found.append({"since_no": other.number, "close_kind": "survey", "close_name": ""})
    return found


def _reads(connection: Connection, staff: Staff, values: Mapping[str, Any]) -> Iterable[Read]:
    cursor = connection.query(statement("reads"), values)
    while rows := cursor.fetchmany(CHUNK):
        for realm, login, on_behalf_of, owner_realm, owner_login, system, kind, day, count in rows:
            reader = staff.person(realm, on_behalf_of or login)
            owner = staff.person(owner_realm, owner_login) if owner_login else ""
            yield Read(
                reader, staff.department(reader, day), owner, staff.department(owner, day), system, kind, int(count)
            )


def totals(reads: Sequence[Read], services: set[str]) -> Row:
    """Return the counts over everybody."""
    own = [read for read in reads if read.reader not in services]
    foreign = [read for read in own if is_foreign(read)]
    return {
        "reader_count": len({read.reader for read in own}),
        "producer_count": len({read.owner for read in own if read.owner not in ("", read.reader)} - services),
        "read_count": sum(read.times for read in own),
        "service_read_count": sum(read.times for read in reads) - sum(read.times for read in own),
        "foreign_read_count": sum(read.times for read in foreign),
        "cross_read_count": sum(read.times for read in foreign if read.reading != read.owning),
    }


def by_department(reads: Sequence[Read], people: Mapping[str, set[str]], services: set[str]) -> list[Row]:
    """Return the counts of each department, those without a read included.

    People of no known department have a row without a name if they read: else nobody could tell what is theirs
    in the totals, and hide it.
    """
    readers: dict[str, set[str]] = defaultdict(set)
    producers: dict[str, set[str]] = defaultdict(set)
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for read in reads:
        if read.reader in services:
            continue
        readers[read.reading].add(read.reader)
        counts[read.reading]["read_count"] += read.times
        if read.owner not in ("", read.reader):
            producers[read.owning].add(read.owner)
        if is_foreign(read) and read.reading != read.owning:
            counts[read.reading]["cross_received"] += read.times
            counts[read.owning]["cross_given"] += read.times
    return [
        {
            "department": department,
            "people": len(people.get(department, ())),
            "readers": len(readers[department]),
            "producers": len(producers[department]),
            **{name: counts[department][name] for name in ("read_count", "cross_received", "cross_given")},
        }
        for department in sorted(people.keys() | ({""} & readers.keys()))
    ]


def by_source(reads: Sequence[Read], services: set[str]) -> list[Row]:
    """Return the counts of each source system that people read from."""
    readers: dict[str, set[str]] = defaultdict(set)
    counts: dict[str, int] = defaultdict(int)
    kinds: dict[str, str] = {}
    for read in sorted(read for read in reads if read.reader not in services):
        readers[read.source_system].add(read.reader)
        counts[read.source_system] += read.times
        kinds.setdefault(read.source_system, read.source_kind)
    return [
        {"source_system": s, "source_kind": kinds[s], "readers": len(readers[s]), "read_count": counts[s]}
        for s in sorted(kinds)
    ]


def _audited(connection: Connection, staff: Staff, values: Mapping[str, Any]) -> list[tuple[str, bool]]:
    """Return for each read that a source's log tells of the department, and whether it was noted down here."""
    ours = {
        (file_id, staff.person(realm, login), day)
        for file_id, realm, login, day in connection.query(statement("captured"), values).fetchall()
    }
    told = connection.query(statement("audited"), values).fetchall()
    theirs = {(file_id, staff.person_of(account), day) for file_id, account, day in told}
    return [
        (staff.department(person, day), (file_id, person, day) in ours)
        for file_id, person, day in sorted(theirs)
        if person not in staff.services
    ]


def coverage_of(seen: Sequence[bool]) -> Row:
    """Return how many reads a log tells of and how many of these are known here; nothing where there is no log."""
    known = {"audit_read_count": len(seen), "captured_read_count": sum(seen)}
    return known if seen else dict.fromkeys(known)


def _held(connection: Connection, values: Mapping[str, Any]) -> Row:
    names = {
        "automatic": ("automatic_entries",),
        "manual": ("manual_entries",),
        "present": ("file_count", "bytes_logical", "bytes_distinct"),
        "contents": ("content_count",),
        "backed_up": ("content_backed_up",),
        "asks": ("ask_count", "answered_ask_count"),
        "questions": ("question_count", "answered_question_count"),
    }
    found: Row = {}
    for name, columns in names.items():
        row = connection.query(statement(name), values).fetchone()
        found |= {column: int(value) for column, value in zip(columns, row, strict=True)}
    return found


def interval(answers: Sequence[float]) -> Row:
    """Return number, median and its 95 % interval of the answers to the survey.

    The interval goes from the k-th smallest to the k-th largest answer, k as large as the binomial
    distribution allows, so it assumes nothing about how the answers are distributed. Fewer than six
    answers have none.
    """
    ordered, n = sorted(answers), len(answers)
    k, ways, below = 0, 1, 1  # of 2**n ways to be on either side, those with k answers below, and with at most k
    while 40 * below <= 2**n:  # in integers, as powers of two soon pass what a float can hold
        k += 1
        ways = ways * (n - k + 1) // k
        below += ways
    return {
        "survey_count": n,
        "hours_saved": float(median(ordered)) if n else None,
        "hours_saved_low": ordered[k - 1] if k else None,
        "hours_saved_high": ordered[n - k] if k else None,
    }
