"""What may be shown of adoption: nothing of fewer than five people, and no way to subtract them out.

Departments below the floor are hidden, and the next smallest with them until at least five people are
hidden together and at least two departments are. Sources are folded together likewise, by their
readers. Answers to the survey are shown from five on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from populate.adoption.tables import Adoption
from populate.insight.publish import FLOOR, hidden_departments
from populate.snapshot import Snapshot
from schemas.engine import dj

Row = dict[str, Any]

OF_READERS = ("reader_count", "producer_count", "read_count", "foreign_read_count", "cross_read_count",
              "audit_read_count", "captured_read_count")  # fmt: skip
OF_SURVEY = ("survey_count", "hours_saved", "hours_saved_low", "hours_saved_high")
OTHERS = "other sources"


@dataclass(frozen=True, slots=True)
class PublishedAdoption:
    """How the catalogue was used, as anybody may see it.

    Attributes
    ----------
    day
        Last day that the figures look at.
    organisation
        Column of `Adoption` -> value; None where it is not defined or must not be shown. Besides these
        ``coverage``, ``cross_share`` (shares, 0 to 1) and ``bytes_duplicate``.
    departments
        As in the table, with ``coverage``; most reads first, hidden ones left out.
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
    """Return what may be shown of a snapshot's adoption.

    Raises
    ------
    LookupError
        If the snapshot has no figures yet.
    """
    key = {"snapshot_no": snapshot_no}
    rows = (Adoption() & key).to_dicts()
    if not rows:
        raise LookupError(f"Snapshot {snapshot_no} has no adoption figures yet. Run `data-platform worker --once`.")
    departments = [_without(row, key) for row in (Adoption.Department() & key).to_dicts()]
    sizes = {row["department"]: row["people"] for row in departments}
    hidden = hidden_groups(sizes) if rows[0]["reader_count"] >= FLOOR else frozenset(sizes)
    shown = [row | {"coverage": share(row, "captured_read_count", "audit_read_count")} for row in departments]
    return PublishedAdoption(
        snapshot_no,
        (Snapshot() & key).fetch1("snapshot_day"),
        shown_organisation(_without(rows[0], key)),
        sorted((row for row in shown if row["department"] not in hidden), key=_most_reads),
        folded([_without(row, key) for row in (Adoption.Source() & key).to_dicts()]),
        len(hidden),
    )


def _without(row: Mapping[str, Any], key: Mapping[str, Any]) -> Row:
    return {name: value for name, value in row.items() if name not in key}


def _most_reads(row: Row) -> tuple[int, str]:
    return (-row["read_count"], str(row.get("department", row.get("source_system"))))


def hidden_groups(sizes: Mapping[str, int]) -> frozenset[str]:
    """Return the groups that must not be shown: none hidden alone, nor fewer than five people together."""
    hidden = set(hidden_departments(sizes))
    for group in sorted(sizes, key=lambda name: (sizes[name], name)):
        if hidden and sum(sizes[name] for name in hidden) < FLOOR:
            hidden.add(group)
    return frozenset(hidden)


def folded(sources: list[Row]) -> list[Row]:
    """Return sources with those of few readers made one, together with one of many, so that none can be told."""
    few = {row["source_system"] for row in sources if row["readers"] < FLOOR}
    many = sorted(
        (row for row in sources if row["readers"] >= FLOOR), key=lambda row: (row["readers"], _most_reads(row))
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
    """Return the figures at the end of each of the last months, oldest first, `snapshot_no` the last one.

    Of several snapshots of a month the one with the latest day counts, of several of a day the newest.
    """
    last: date = (Snapshot() & {"snapshot_no": snapshot_no}).fetch1("snapshot_day")
    known = (Snapshot() & Adoption.proj() & dj.Not({"snapshot_no": snapshot_no})).to_dicts()
    known = sorted((row["snapshot_day"], row["snapshot_no"]) for row in known if row["snapshot_day"] < last)
    latest = {(day.year, day.month): number for day, number in known}
    latest[last.year, last.month] = snapshot_no
    return [published_adoption(number) for _, number in sorted(latest.items())[-months:]]
