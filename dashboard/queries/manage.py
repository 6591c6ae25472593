"""What the pages for managers ask: figures of snapshots as they are published, duplicates, and who may open what.

Figures of departments come from functions that hide small groups (`populate.insight.publish`,
`populate.adoption.publish`, `populate.conversation.ledger`): nothing here counts people by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from populate.adoption import publish as adopted
from populate.adoption.publish import PublishedAdoption, history, published_adoption
from populate.adoption.report import Figure, day_in_words, figures_of, report_of, sentences_of
from populate.adoption.tables import Adoption
from populate.adoption.writing import rendered
from populate.conversation.ledger import Ledger, ledger
from populate.duplicates.live import Copy
from populate.duplicates.overview import Overview, overview
from populate.insight.publish import Published, published, shown_snapshots
from populate.silo import SiloMetric, SiloParameter
from populate.snapshot import Snapshot
from schemas.binding import Binding


@dataclass(frozen=True, slots=True)
class Use:
    """How the catalogue is used: the newest figures, what they say, and how they changed."""

    now: PublishedAdoption
    sentences: list[str]
    figures: list[Figure]


@dataclass(frozen=True, slots=True)
class Silos:
    """The silo measures of a snapshot; ``trend`` has those of all snapshots with the same parameters."""

    snapshot_no: int
    day: date
    shown: Published
    trend: pd.DataFrame


@dataclass(frozen=True, slots=True)
class Duplicates:
    """What duplicates amount to, what was saved, and the largest of them, if these may be shown."""

    found: Overview
    ledger: Ledger
    copies: pd.DataFrame


def newest(binding: Binding) -> int:
    """Return the number of the newest snapshot; 0 if there is none. Figures of one never change."""
    binding.ensure()
    return int(max(Snapshot.to_arrays("snapshot_no"), default=0))


def adoption(binding: Binding) -> Use | None:
    """Return the newest figures of adoption; None if there are none yet."""
    binding.ensure()
    known = _by_number(Adoption)
    if not known:
        return None
    try:
        months = history(known[-1]["snapshot_no"])
    except LookupError:  # the one that stands for it is computed later
        return None
    now, before = months[-1], months[-2] if len(months) > 1 else None
    of = f"These are the figures of {day_in_words(now.day)}: the ends of months stand for the days after them."
    return Use(now, [*sentences_of(now), of], figures_of(now, before))


def report(binding: Binding, kind: str) -> bytes:
    """Return the newest monthly report as ``html`` or ``pdf``."""
    binding.ensure()
    return rendered(report_of(), f".{kind}")


def adoption_trend(binding: Binding) -> pd.DataFrame:
    """Return the figures over everybody of all snapshots that are shown, the newest of each day, by ``day``."""
    binding.ensure()
    shown = {one.number for one in adopted.shown_snapshots()}
    days = {row["snapshot_day"]: row["snapshot_no"] for row in _by_number(Adoption) if row["snapshot_no"] in shown}
    rows = [{"day": day, **published_adoption(number).organisation} for day, number in days.items()]
    return pd.DataFrame(rows).sort_values("day") if rows else pd.DataFrame({"day": []})


def silo_days(binding: Binding, parameter: str) -> dict[date, int]:
    """Return the days that have silo measures which are shown, the latest first, each with its newest snapshot."""
    binding.ensure()
    shown = {one.number for one in shown_snapshots(parameter)}
    rows = [row for row in _by_number(SiloMetric() & {"silo_parameter": parameter}) if row["snapshot_no"] in shown]
    return {row["snapshot_day"]: row["snapshot_no"] for row in reversed(rows)}


def silo_parameters(binding: Binding) -> list[str]:
    """Return the names of the sets of parameters, the standard one first."""
    binding.ensure()
    return sorted(SiloParameter.to_arrays("silo_parameter").tolist(), key=lambda name: (name != "standard", name))


def silos(binding: Binding, snapshot_no: int, parameter: str) -> Silos:
    """Return the measures of a snapshot as they may be shown.

    Raises
    ------
    LookupError
        If it has none.
    """
    binding.ensure()
    shown = published(snapshot_no, parameter)
    columns = ("cross_share", "cross_share_se", "cross_share_expected", "silo_index", "tie_count")
    measures = (SiloMetric() & {"silo_parameter": parameter}) * Snapshot.proj("snapshot_day")
    seen = {one.number for one in shown_snapshots(parameter)}
    rows = sorted(
        (row for row in measures.to_dicts() if row["snapshot_no"] in seen), key=lambda row: row["snapshot_no"]
    )
    last = {row["snapshot_day"]: {name: row[name] for name in columns} for row in rows}
    trend = pd.DataFrame([{"day": day, **row} for day, row in sorted(last.items())])
    day = (Snapshot() & {"snapshot_no": shown.snapshot_no}).fetch1("snapshot_day")
    return Silos(shown.snapshot_no, day, shown, trend)


def duplicates(binding: Binding, most: int = 200) -> Duplicates:
    """Return what duplicates amount to, with the `most` contents that would save most."""
    found = overview(binding, most)
    return Duplicates(found, ledger(binding), pd.DataFrame([_copy(copy) for copy in found.largest]))


def ledger_rows(found: Ledger) -> pd.DataFrame:
    """Return the entries of a ledger as a table."""
    return pd.DataFrame(
        [(one.month, one.department, one.copies, one.bytes_saved) for one in found.entries],
        columns=["month", "department", "copies", "bytes_saved"],
    )


def _copy(copy: Copy) -> dict[str, Any]:
    return {
        "content": copy.sha256[:12],
        "file_name": copy.name,
        "original": "original" if copy.is_origin else "copy",
        "owner": copy.owner.full_name,
        "department": copy.owner.department,
        "size": copy.size,
        "first_seen": copy.first_seen,
        "source": copy.source,
        "file_path": copy.path,
        "file_id": copy.file_id,
    }


def _by_number(table: Any) -> list[dict[str, Any]]:
    """Return day and number of the snapshots that a table has rows of; of several of a day the newest comes last."""
    rows = (Snapshot() & table.proj()).to_dicts()
    return sorted(rows, key=lambda row: (row["snapshot_day"], row["snapshot_no"]))
