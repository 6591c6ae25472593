"""The charts of the report, drawn without a display and without leaving a trace in matplotlib's state."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from populate.adoption.publish import PublishedAdoption
from populate.who.whom import printable

BLUE, AMBER, GREY, INK = "#1f5a94", "#d98e04", "#c9d1d9", "#24292f"
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
          "November", "December")  # fmt: skip
WIDTH = 7.2
LONGEST = 34
"""Characters of a name on an axis."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawn chart.

    Attributes
    ----------
    alternative
        What it shows, in words, for whoever cannot see it.
    """

    title: str
    alternative: str
    svg: bytes
    png: bytes


def over_months(months: Sequence[PublishedAdoption]) -> Chart:
    """Draw people who read and people whose files were read, a pair of columns a month."""
    labels = [f"{_month(month)}\n{month.day.year}" for month in months]
    pairs = [("read", "reader_count", BLUE), ("had files that others read", "producer_count", AMBER)]
    figure, axes = _canvas(2.3)
    for place, (label, name, colour) in enumerate(pairs):
        values = [month.organisation[name] for month in months]
        spots = [x + (place - 0.5) * 0.36 for x in range(len(months))]
        bars = axes.bar(spots, [value or 0 for value in values], 0.34, color=colour, label=label)
        texts = ["not shown" if value is None else f"{value:,}" for value in values]
        axes.bar_label(bars, texts, padding=2, fontsize=8, color=INK)
    axes.set_xticks(range(len(months)), labels, fontsize=8, parse_math=False)
    axes.set_xlim(-0.7, max(len(months), 4) - 0.3)
    axes.margins(y=0.18)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.legend(loc="upper right", frameon=False, fontsize=8, ncols=2, bbox_to_anchor=(1, 1.16))
    told = "; ".join(
        f"{_month(month)} {month.day.year}: {_told(month.organisation['reader_count'])} read, "
        f"{_told(month.organisation['producer_count'])} had files that others read"
        for month in months
    )
    return _drawn(figure, "People, month by month", told)


def _month(month: PublishedAdoption) -> str:
    return MONTHS[month.day.month - 1][:3]  # whatever the locale


def by_department(departments: Sequence[Mapping[str, Any]]) -> Chart:
    """Draw the reads of each department, those of other departments' files apart."""
    rows = [
        (row["department"], row["cross_received"], row["read_count"] - row["cross_received"]) for row in departments
    ]
    parts = (("files of other departments", BLUE), ("all other files", GREY))
    return _bars("Whose files each department reads", "reads", rows, parts)


def over_sources(sources: Sequence[Mapping[str, Any]]) -> Chart:
    """Draw the reads from each source system."""
    rows = [(row["source_system"], row["read_count"]) for row in sources]
    return _bars("Where the files are", "reads", rows, (("reads", BLUE),))


def _bars(title: str, unit: str, rows: Sequence[tuple[Any, ...]], parts: Sequence[tuple[str, str]]) -> Chart:
    figure, axes = _canvas(0.6 + 0.27 * len(rows) + (0.25 if len(parts) > 1 else 0))
    spots = range(len(rows))
    left = [0] * len(rows)
    for place, (label, colour) in enumerate(parts, start=1):
        values = [row[place] for row in rows]
        bars = axes.barh(spots, values, 0.68, left=left, color=colour, label=label)
        left = [before + value for before, value in zip(left, values, strict=True)]
    axes.bar_label(bars, [f"{total:,}" for total in left], padding=3, fontsize=8, color=INK)
    axes.set_yticks(spots, [_short(row[0]) for row in rows], fontsize=8, parse_math=False)
    axes.set_ylim(len(rows) - 0.45, -0.55)
    axes.set_xticks([])
    axes.margins(x=0.1)
    axes.spines["bottom"].set_visible(False)
    if len(parts) > 1:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), frameon=False, fontsize=8, ncols=2)
    told = "; ".join(
        f"{printable(row[0])}: {sum(row[1:]):,} {unit}" + (f", {row[1]:,} of {parts[0][0]}" if len(parts) > 1 else "")
        for row in rows
    )
    return _drawn(figure, title, told)


def _told(value: int | None) -> str:
    return "not shown" if value is None else f"{value:,}"


def _short(name: str) -> str:
    shown = printable(name)
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"


def _canvas(height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure  # here: it takes a second to load

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GREY)
    axes.tick_params(length=0, colors=INK)
    return figure, axes


def _drawn(figure: Any, title: str, alternative: str) -> Chart:
    import matplotlib as mpl

    files = {}
    with warnings.catch_warnings(), mpl.rc_context({"svg.hashsalt": "data-platform"}):
        # Names in scripts that the font does not have are shown as boxes in charts, and right in tables.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .*missing from")
        for kind, options in (("svg", {"metadata": {"Date": None}}), ("png", {"dpi": 220})):
            buffer = BytesIO()
            figure.savefig(buffer, format=kind, **options)
            files[kind] = buffer.getvalue()
    return Chart(title, alternative, files["svg"], files["png"])
