"""What the monthly report says: sentences, figures, tables and charts, before it becomes HTML or PDF."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

from data_platform.errors import ReportUnavailable
from populate.adoption.charts import MONTHS, Chart, by_department, over_months, over_sources
from populate.adoption.publish import OTHERS, PublishedAdoption, history, shown_snapshots
from populate.adoption.tables import Adoption
from populate.insight.publish import published
from populate.who.whom import printable

HIDDEN = "—"
BLANK = "\N{NO-BREAK SPACE}"
MOST_ROWS = 25
"""Departments and sources listed, at most."""


class Figure(NamedTuple):
    """A number with what it is of; `note` says how it changed, how sure it is, or why there is none."""

    label: str
    value: str
    note: str


class Table(NamedTuple):
    """A table whose first column is text and whose others are figures, as text."""

    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    note: str


@dataclass(frozen=True, slots=True)
class Report:
    """All that the report says, in order; plain text throughout, to be escaped by whoever writes it.

    Attributes
    ----------
    month
        A day of it.
    """

    month: date
    title: str
    subtitle: str
    sentences: list[str]
    figures: list[Figure]
    charts: list[Chart]
    tables: list[Table]
    notes: list[str] = field(default_factory=list)


def report_of(month: date | None = None) -> Report:
    """Return the report of a month, from its last snapshot.

    Parameters
    ----------
    month
        Any day of it; that of the newest snapshot unless given.

    Raises
    ------
    ReportUnavailable
        If there is no snapshot of that month with figures.
    """
    months = history(_snapshot(month))
    now, before = months[-1], months[-2] if len(months) > 1 else None
    return Report(
        month=now.day,
        title=f"How our data is shared: {MONTHS[now.day.month - 1]} {now.day.year}",
        subtitle=f"The {now.organisation['window_days']} days to {day_in_words(now.day)}",
        sentences=sentences_of(now),
        figures=figures_of(now, before),
        charts=_charts(months),
        tables=[table for table in (_departments(now), _sources(now)) if table.rows],
        notes=_notes(now),
    )


def _snapshot(month: date | None) -> int:
    computed = set(Adoption.to_arrays("snapshot_no").tolist())
    known = sorted((one.day, one.number) for one in shown_snapshots() if one.number in computed)
    if month is not None:
        known = [row for row in known if (row[0].year, row[0].month) == (month.year, month.month)]
    if not known:
        of_month = f" of {month:%Y-%m}" if month else ""
        raise ReportUnavailable(
            f"There is no snapshot{of_month} whose figures are shown. Take one of its last day: "
            "data-platform snapshot --day YYYY-MM-DD"
        )
    return int(known[-1][1])


def sentences_of(now: PublishedAdoption) -> list[str]:
    """Return what is most worth knowing of a snapshot, in sentences."""
    figures = now.organisation
    said = []
    if figures["reader_count"] is not None:
        said.append(
            f"{figures['reader_count']:,} people read shared data {figures['read_count']:,} times, and "
            f"{figures['producer_count']:,} had files that somebody else read."
        )
    else:
        said.append("Fewer than five people read shared data, so their figures are not shown.")
    if figures["cross_share"] is not None:
        said.append(
            f"{_share(figures['cross_share'])} of the reads of somebody else's files crossed from one department "
            "to another."
        )
    said.append(_silos(now.snapshot_no))
    return [sentence for sentence in said if sentence]


def _silos(snapshot_no: int) -> str:
    try:
        found = published(snapshot_no)
    except LookupError:  # these are figures of their own, computed by whichever worker comes to them
        return ""
    as_of = f" As of {day_in_words(found.day)}." if found.day and found.snapshot_no != snapshot_no else ""
    return found.sentence + as_of


def figures_of(now: PublishedAdoption, before: PublishedAdoption | None) -> list[Figure]:
    """Return the figures of a snapshot, with what they changed by since the month before."""
    figures = now.organisation
    people = figures["people_count"]
    reach = f"of {people:,} in the directory" if people else ""
    change = _change(now, before, "reader_count")
    return [
        Figure("people who read", _number(figures["reader_count"]), ", ".join(filter(None, (reach, change)))),
        Figure("reads", _number(figures["read_count"]), _change(now, before, "read_count")),
        Figure("reads across departments", _share(figures["cross_share"]), _of(figures, "foreign_read_count", "reads")),
        Figure(
            "of logged reads captured",
            _share(figures["coverage"]),
            _of(figures, "audit_read_count", "reads in the sources' logs") or "no source's own log to compare with",
        ),
        Figure(
            "of contents backed up",
            _share(figures["content_backed_up"] / figures["content_count"] if figures["content_count"] else None),
            ", ".join(filter(None, (_count(figures["content_count"], "content", "contents"), _proven(figures)))),
        ),
        Figure(
            "in duplicates",
            volume(figures["bytes_duplicate"]),
            f"of {volume(figures['bytes_logical'])} in {_count(figures['file_count'], 'file', 'files')}",
        ),
        Figure(
            "questions answered",
            f"{figures['answered_question_count'] + figures['answered_ask_count']:,}",
            f"of {figures['question_count']:,} about duplicates and {figures['ask_count']:,} to colleagues",
        ),
        _hours(now),
    ]


def _proven(figures: Mapping[str, Any]) -> str:
    """Return what share of the contents was read back from the store and whole; nothing where nobody looked."""
    if figures.get("content_proven") is None or not figures["content_count"]:
        return ""
    proven = _share(figures["content_proven"] / figures["content_count"])
    return f"{proven} read back and whole in {figures['proof_days']} days"


def _hours(now: PublishedAdoption) -> Figure:
    figures = now.organisation
    if figures["survey_count"] is None:
        return Figure("hours saved a week", HIDDEN, "fewer than five have told")
    interval = ""
    if figures["hours_saved_low"] is not None:
        interval = f", 95{BLANK}% interval {figures['hours_saved_low']:.1f} to {figures['hours_saved_high']:.1f}"
    asked = f"; {figures['asked_count']:,} were asked" if figures.get("asked_count") else ""
    note = f"median as {figures['survey_count']:,} people tell{interval}{asked}"
    if figures.get("survey_day") not in (None, now.day):
        note += f", as of {day_in_words(figures['survey_day'])}"
    return Figure("hours saved a week", f"{figures['hours_saved']:.1f}", note)


def _change(now: PublishedAdoption, before: PublishedAdoption | None, name: str) -> str:
    if before is None or before.organisation[name] is None or now.organisation[name] is None:
        return ""
    change = now.organisation[name] - before.organisation[name]
    return f"{change:+,} since {MONTHS[before.day.month - 1]}" if change else f"as in {MONTHS[before.day.month - 1]}"


def _of(figures: dict[str, float | None], name: str, what: str) -> str:
    return f"of {figures[name]:,} {what}" if figures[name] else ""


def _charts(months: Sequence[PublishedAdoption]) -> list[Chart]:
    now = months[-1]
    charts = [over_months(months)] if len(months) > 1 else []
    if now.departments:
        charts.append(by_department(now.departments[:MOST_ROWS]))
    if len(now.sources) > 1:
        charts.append(over_sources(now.sources[:MOST_ROWS]))
    return charts


def _departments(now: PublishedAdoption) -> Table:
    header = (
        "Department",
        "people",
        "who read",
        "whose files were read",
        "reads",
        "from others",
        "by others",
        "captured",
    )
    names = ("people", "readers", "producers", "read_count", "cross_received", "cross_given")
    rows = [
        (printable(row["department"]), *(_number(row[name]) for name in names), _share(row["coverage"]))
        for row in now.departments[:MOST_ROWS]
    ]
    left = len(now.departments) - len(rows)
    notes = []
    if now.hidden:
        notes.append(f"{_count(now.hidden, 'department is', 'departments are')} not shown, so that nobody can be told.")
    if left > 0:
        notes.append(f"The {left:,} with the fewest reads are left out.")
    return Table("Departments", header, rows, " ".join(notes))


def _sources(now: PublishedAdoption) -> Table:
    rows: list[tuple[str, ...]] = [
        (
            printable(row["source_system"]),
            row["source_kind"] or HIDDEN,
            _number(row["readers"]),
            _number(row["read_count"]),
        )
        for row in now.sources[:MOST_ROWS]
    ]
    folded = any(row["source_system"] == OTHERS for row in now.sources)
    note = "Sources with fewer than five readers are shown together with another one." if folded else ""
    return Table("Sources", ("Source", "kind", "people", "reads"), rows, note)


def _notes(now: PublishedAdoption) -> list[str]:
    by_themselves = now.organisation["automatic_entries"]
    entries = [] if by_themselves is None else [f"{by_themselves:,} entries noted themselves down so far;"]
    return [
        f"From snapshot {now.snapshot_no}, which never changes. What each figure means: docs/explanation/adoption.md.",
        " ".join([*entries, f"{now.organisation['manual_entries']:,} were typed in."]),
        "Nothing is shown of fewer than five people, nor what would give them away. "
        "A figure that is not known is left out rather than shown as zero.",
    ]


def _number(value: int | None) -> str:
    return HIDDEN if value is None else f"{value:,}"


def _share(value: float | None) -> str:
    """Return a share in percent; it says 0 or 100 only of what is exactly so."""
    if value is None:
        return HIDDEN
    rounded = f"{value:.0%}"
    if rounded == "100%" and value < 1:
        rounded = f"{math.floor(value * 1000) / 10:.1f}%"
    elif rounded == "0%" and value > 0:
        rounded = "< 1%"
    return rounded.replace("%", f"{BLANK}%")


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def volume(count: float) -> str:
    """Return bytes as people write them (powers of 1,000)."""
    units = ["bytes", "kB", "MB", "GB", "TB", "PB"]
    while abs(count) >= 1000 and len(units) > 1:
        count = count / 1000
        units.pop(0)
    return f"{count:,.0f} {units[0]}" if units[0] == "bytes" else f"{count:,.1f} {units[0]}"


def day_in_words(day: date) -> str:
    """Return a day as 30 November 2026, without looking at the locale."""
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"
