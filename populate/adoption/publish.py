"""What may be shown of adoption: nothing of fewer than five people, and no way to subtract them out.

Departments below the floor, by their people or by those who read, are hidden, and the next smallest with
them until at least two departments, five people and five readers are hidden together
(`populate.insight.hiding`). Readers of no known department are hidden always, so with fewer than five of
them no departments but hidden ones may make up the rest of a total. Sources are folded together likewise, by
their readers. What changed by too few people since figures that are shown is hidden with something that changed
by enough, so that neither their sum tells (`kept_back`). Answers to the survey are shown from five on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from populate.adoption.close import EVERYBODY, MOVED
from populate.adoption.rows import SURVEY_DAYS
from populate.adoption.tables import Adoption
from populate.insight.hiding import FLOOR, hidden_beside, hidden_departments
from populate.insight.standing import Taken, shown, standing, taken

Row = dict[str, Any]

OF_READERS = ("reader_count", "producer_count", "read_count", "foreign_read_count", "cross_read_count",
              "audit_read_count", "captured_read_count", "automatic_entries")  # fmt: skip
OF_LOGS = ("audit_read_count", "captured_read_count", "coverage")
OF_SURVEY = ("survey_count", "asked_count", "hours_saved", "hours_saved_low", "hours_saved_high")
OTHERS = "other sources"


@dataclass(frozen=True, slots=True)
class PublishedAdoption:
    """How the catalogue was used, as anybody may see it.

    Attributes
    ----------
    snapshot_no, day
        Of the snapshot that the figures are of, and the last day that they look at: neighbouring ones have one that
        stands for them (`populate.insight.standing`).
    organisation
        Column of `Adoption` or its parts of one row -> value; None where it is not defined or must not be shown.
        Besides these ``coverage``, ``cross_share`` (shares, 0 to 1), ``bytes_duplicate``, and ``survey_day``, the last
        day on which answers to the survey count.
    departments
        As in the table, with ``coverage``; most reads first, hidden ones left out. What logs tell is None for
        all if it would tell of the hidden ones.
    sources
        As in the table, most reads first; those with few readers together as `OTHERS`, whose readers are not
        told.
    hidden
        How many departments are left out.
    """

    snapshot_no: int
    day: date
    organisation: Row
    departments: list[Row]
    sources: list[Row]
    hidden: int


def published_adoption(snapshot_no: int) -> PublishedAdoption:
    """Return what may be shown of a snapshot's adoption, or of that of the one that stands for it.

    Raises
    ------
    LookupError
        If the snapshot has no figures yet.
    """
    snapshots = taken()
    computed = set(Adoption.to_arrays("snapshot_no").tolist())
    of = standing(snapshot_no, snapshots, _too_close() | ({one.number for one in snapshots} - computed))
    key = {"snapshot_no": of.number if of else snapshot_no}
    rows = (Adoption() & key).to_dicts()
    if not rows or of is None:
        raise LookupError(
            f"Snapshot {key['snapshot_no']} has no adoption figures yet. Run `data-platform worker --once`."
        )
    close = (Adoption.Close() & key).to_dicts()
    organisation = _without(rows[0], key) | _proof(key) | _asked(key) | _survey(of)
    departments, hidden = shown_departments(
        organisation, [_without(row, key) for row in (Adoption.Department() & key).to_dicts()], close
    )
    sources = folded([_without(row, key) for row in (Adoption.Source() & key).to_dicts()], close)
    organisation = shown_organisation(organisation)
    if any(row["close_kind"] == "logs" for row in close):
        organisation |= dict.fromkeys(OF_LOGS)
        departments = [row | dict.fromkeys(OF_LOGS) for row in departments]
    return PublishedAdoption(of.number, of.day, organisation, departments, sources, hidden)


def shown_snapshots() -> list[Taken]:
    """Return the snapshots whose figures are shown, by number."""
    close = _too_close()
    return [one for one in shown(taken()) if one.number not in close]


def standing_back(month: date) -> Taken | None:
    """Return the last snapshot of a month if none of it is shown, as fewer than five people make up the difference."""
    of_month = [one for one in shown(taken()) if (one.day.year, one.day.month) == (month.year, month.month)]
    close = _too_close()
    if any(one.number not in close for one in of_month):
        return None
    return max(of_month, key=lambda one: (one.day, one.number), default=None)


def _too_close() -> set[int]:
    return {int(number) for number in (Adoption.Close() & {"close_kind": EVERYBODY}).to_arrays("snapshot_no")}


def _survey(of: Taken) -> Row:
    """Return what the survey tells: of this snapshot, or of one before from which it differs by too few answers."""
    told = {row["snapshot_no"]: row for row in Adoption.to_dicts() if row["survey_count"] >= FLOOR}
    close = {(row["snapshot_no"], row["since_no"]) for row in (Adoption.Close() & {"close_kind": "survey"}).to_dicts()}
    known: list[Taken] = []
    for one in shown_snapshots():
        if one.number in told and not any((one.number, other.number) in close for other in known):
            known.append(one)
    known = [one for one in known if one.number <= of.number and 0 <= (of.day - one.day).days < SURVEY_DAYS]
    if not known:
        return {"survey_count": 0, "survey_day": None}
    latest = max(known, key=lambda one: (one.day, one.number))
    key = {"snapshot_no": latest.number}
    figures = {name: told[latest.number][name] for name in OF_SURVEY if name in told[latest.number]}
    return figures | _asked(key) | {"survey_day": latest.day}


def _proof(key: Row) -> Row:
    """Return what is proven of backups; None where nobody looked, as in earlier releases."""
    rows = (Adoption.Proof() & key).to_dicts()
    return _without(rows[0], key) if rows else {"proof_days": None, "content_proven": None}


def _asked(key: Row) -> Row:
    rows = (Adoption.Asked() & key).to_dicts()
    return _without(rows[0], key) if rows else {"asked_count": None}


def _without(row: Mapping[str, Any], key: Mapping[str, Any]) -> Row:
    return {name: value for name, value in row.items() if name not in key}


def _most_reads(row: Row) -> tuple[int, str]:
    return (-row["read_count"], str(row.get("department", row.get("source_system"))))


def kept_back(close: Iterable[Row], kind: str, sizes: Mapping[str, int]) -> set[str]:
    """Return the departments or sources that must be hidden, as some of them changed by too little.

    Parameters
    ----------
    close
        Rows of `Adoption.Close`.
    kind
        Of groups: department or source.
    sizes
        Group -> people.
    """
    names: defaultdict[tuple[int, str], set[str]] = defaultdict(set)
    for row in close:
        names[row["since_no"], row["close_kind"]].add(row["close_name"])
    since = {number for number, _ in names}
    found = (hidden_beside(names[number, kind], names[number, MOVED[kind]], sizes) for number in since)
    return set().union(*found)


def shown_departments(organisation: Row, rows: list[Row], close: Iterable[Row] = ()) -> tuple[list[Row], int]:
    """Return the rows of departments that may be shown, and how many of them are not.

    Parameters
    ----------
    organisation
        Figures over everybody.
    rows
        Of all departments; the one without a name is of people of whom no department is known.
    close
        Rows of `Adoption.Close`: what changed by too little since figures that are shown.
    """
    known = {row["department"]: row for row in rows if row["department"]}
    if organisation["reader_count"] < FLOOR:
        return [], len(known)
    # Readers of no department are in what remains in any case, so none is smaller.
    back = kept_back(close, "department", {"": -1} | {name: row["people"] for name, row in known.items()})
    hidden = _hidden(known, _outside(organisation, rows), back - {""})
    shown = [row | {"coverage": share(row, "captured_read_count", "audit_read_count")} for row in known.values()]
    shown = sorted((row for row in shown if row["department"] not in hidden), key=_most_reads)
    if hidden and _all_or_nothing([known[name] for name in hidden]):
        shown = [row | dict.fromkeys(OF_LOGS) for row in shown]
    return shown, len(hidden)


def _outside(organisation: Row, rows: list[Row]) -> bool:
    """Tell whether the totals have reads of few people in them of whom no department is known."""
    readers = sum(row["readers"] for row in rows if not row["department"])
    named = [row for row in rows if row["department"]]
    rest = any(_sum(name, [organisation]) != _sum(name, named) for name in ("read_count", "audit_read_count"))
    return readers < FLOOR and rest


def _sum(column: str, rows: Iterable[Row]) -> int:
    return sum(row[column] or 0 for row in rows)


def _hidden(known: Mapping[str, Row], outside: bool, close: set[str]) -> frozenset[str]:
    def enough(hidden: frozenset[str]) -> bool:
        if not hidden:
            return not outside
        rows = [known[name] for name in hidden]
        # Of a sum of nothing each part is known.
        told = any(not _sum(name, rows) and _sum(name, known.values()) for name in ("cross_received", "cross_given"))
        return _sum("readers", rows) >= FLOOR and not told

    few = [name for name, row in known.items() if 0 < row["readers"] < FLOOR]
    few += [name for name, row in known.items() if not row["readers"] and row["audit_read_count"]]
    return hidden_departments({name: row["people"] for name, row in known.items()}, small={*few, *close}, enough=enough)


def _all_or_nothing(rows: list[Row]) -> bool:
    """Tell whether no read in the logs was captured of these departments, or every one: then so it is of each."""
    audited, captured = _sum("audit_read_count", rows), _sum("captured_read_count", rows)
    return captured in (0, audited)


def folded(sources: list[Row], close: Iterable[Row] = ()) -> list[Row]:
    """Return sources with those of few readers made one, together with one of many, so that none can be told.

    `close` are rows of `Adoption.Close`: what changed by too little since figures that are shown.
    """
    few = {row["source_system"] for row in sources if row["readers"] < FLOOR}
    few |= kept_back(close, "source", {row["source_system"]: row["readers"] for row in sources})
    many = sorted(
        (row for row in sources if row["source_system"] not in few), key=lambda row: (row["readers"], _most_reads(row))
    )
    if few and many:
        few.add(many[0]["source_system"])
    shown = sorted((row for row in sources if row["source_system"] not in few), key=_most_reads)
    if few and many:
        reads = sum(row["read_count"] for row in sources if row["source_system"] in few)
        shown.append({"source_system": OTHERS, "source_kind": "", "readers": None, "read_count": reads})
    return shown


def shown_organisation(row: Row) -> Row:
    """Return the figures over everybody, with shares, without what fewer than five people make up."""
    found = row | {
        "coverage": share(row, "captured_read_count", "audit_read_count"),
        "cross_share": share(row, "cross_read_count", "foreign_read_count"),
        "bytes_duplicate": row["bytes_logical"] - row["bytes_distinct"],
    }
    if row["reader_count"] < FLOOR:
        found |= dict.fromkeys((*OF_READERS, "coverage", "cross_share"))
    if row["survey_count"] < FLOOR:
        found |= dict.fromkeys(OF_SURVEY)
    return found


def share(row: Row, part: str, whole: str) -> float | None:
    """Return one figure over another; None where there is nothing to have a share of."""
    return float(row[part] / row[whole]) if row[whole] else None


def history(snapshot_no: int, months: int = 12) -> list[PublishedAdoption]:
    """Return the figures that are shown of each of the last months, oldest first, those for `snapshot_no` the last.

    Of several snapshots of a month the one with the latest day counts, of several of a day the newest.
    """
    now = published_adoption(snapshot_no)
    computed = set(Adoption.to_arrays("snapshot_no").tolist())
    known = sorted((one.day, one.number) for one in shown_snapshots() if one.number in computed and one.day < now.day)
    latest = {(day.year, day.month): number for day, number in known}
    latest.pop((now.day.year, now.day.month), None)
    return [*(published_adoption(number) for _, number in sorted(latest.items())[1 - months :]), now][-months:]
