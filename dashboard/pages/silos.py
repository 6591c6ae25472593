"""Silos: how far departments share with each other, where that is missing, and how it changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.catalogue import Catalogue
from dashboard.display import plain
from dashboard.identity import Viewer
from dashboard.parts import charts, tables
from dashboard.parts.guard import page
from dashboard.queries import manage

MAP, MATRIX, TREND, TABLE = "Map", "Matrix", "Trend", "Departments"
FEW = 12  # sentences
WHY = """
A **working tie** is somebody who used a file of somebody else in at least two different weeks of the last 90 days.
A mail to all, a script or a bot makes none. How many ties to *expect* between two departments follows from how much
each shares with the outside altogether; a **potential silo** is a pair that has less than half of that, and too little
to be chance. Departments of fewer than five people are not shown, nor is what would tell of them.
"""


def _show(known: Catalogue, viewer: Viewer) -> None:
    head = st.container()
    left, right, _ = st.columns([1, 1, 1])
    parameter = left.selectbox("What counts", known.ask(manage.silo_parameters), key="what", bind="query-params")
    days = known.ask(manage.silo_days, parameter)
    if not days:
        tables.nothing("Nothing has been measured yet: figures come with the first snapshot.", "data-platform snapshot",
                       "data-platform worker --once", icon="hub")  # fmt: skip
        return
    day = right.selectbox(
        "As of", list(days), format_func=lambda day: f"{day:%d %B %Y}", key="day", bind="query-params"
    )
    found = _silos(known, days[day], parameter)
    with head:
        st.subheader(plain(found.shown.sentence))
        st.space("xsmall")
        with st.expander("What that means", icon=":material/help:"):
            st.markdown(WHY)
        _flagged(found)
    view = st.segmented_control(
        "View", [MATRIX, MAP, TREND, TABLE], default=MATRIX, key="view", required=True, label_visibility="collapsed",
        bind="query-params",
    )  # fmt: skip
    if len(_seen(found)) < 2 and view != TREND:
        tables.nothing("Fewer than two departments have enough people to be shown.", icon="grid_off")
        return
    {MATRIX: _matrix, MAP: _map, TREND: _trend, TABLE: _departments}[view](found)


@st.cache_data(show_spinner="Looking at the ties …", max_entries=32)
def _silos(_known: Catalogue, snapshot_no: int, parameter: str) -> manage.Silos:
    return _known.ask(manage.silos, snapshot_no, parameter)


def _seen(found: manage.Silos) -> pd.DataFrame:
    frame = found.shown.departments
    if frame.empty:
        return pd.DataFrame({"department": []})
    return frame[~frame["department"].isin(found.shown.hidden)]


def _flagged(found: manage.Silos) -> None:
    flagged = found.shown.pairs[found.shown.pairs["flagged"]] if len(found.shown.pairs) else found.shown.pairs
    if flagged.empty:
        st.info("No single pair of departments stands out beyond chance.", icon=":material/info:")
        return
    worst = flagged.sort_values(["ratio", "expected"], ascending=[True, False], na_position="first")
    with st.container(border=True, gap="xsmall"):
        st.markdown(f"**{len(worst)} potential silos**: less than half of the ties to expect, beyond chance")
        for row in worst.head(FEW).to_dict("records"):
            st.text(_sentence(row))
        if len(worst) > FEW:
            st.caption(f"and {len(worst) - FEW} more: the dots of the matrix")


def _sentence(row: Mapping[Any, Any]) -> str:
    ends = f"{row['giving']} → {row['receiving']}"
    if pd.isna(row["ties"]):
        return f"{ends}: fewer than three ties"
    rests = ", half of them with one person" if row["rests_on_one"] else ""
    return f"{ends}: {row['ties']:,.0f} ties where {row['expected']:,.0f} would be expected{rests}"


def _matrix(found: manage.Silos) -> None:
    names = charts.ordered(found.shown.pairs, list(_seen(found)["department"]))
    st.caption(
        "Rows give, columns receive. Green: more than expected; brown: less; dot: potential silo; grey: too few."
    )
    charts.draw(
        charts.matrix(found.shown.pairs, names), "How much each pair of departments shares, to what is expected"
    )
    shown = found.shown.pairs.drop(columns=["tested"])
    with st.expander("As a table"):
        tables.show(
            shown[shown["giving"].isin(names) & shown["receiving"].isin(names)],
            "pairs of departments",
            {
                "giving": "Gives",
                "receiving": "Receives",
                "ties": "Ties",
                "expected": st.column_config.NumberColumn("Expected", format="%.1f"),
                "ratio": st.column_config.NumberColumn("Ratio", format="%.2f"),
                "flagged": "Potential silo",
                "withheld": "Not shown",
            },
        )


def _map(found: manage.Silos) -> None:
    st.caption("Discs near each other share much; wide lines many ties; dashed: a potential silo.")
    charts.draw(
        charts.department_map(_seen(found), found.shown.pairs), "Departments, and the strongest ties between them"
    )


def _trend(found: manage.Silos) -> None:
    if len(found.trend) < 2:
        tables.nothing("One snapshot makes no trend: the next is shown at the end of a month.", icon="timeline")
        return
    st.caption("Share of working ties between departments, with its 95 % interval; dashed: if people mixed at random.")
    charts.draw(charts.banded(found.trend), "Share of working ties that cross departments, by day")
    with st.expander("As a table"):
        tables.show(
            found.trend,
            "silos over time",
            {
                "day": "Day",
                "cross_share": tables.share("Between departments"),
                "cross_share_expected": tables.share("At random"),
                "silo_index": st.column_config.NumberColumn("Missing", format="percent"),
                "tie_count": "Ties",
            },
        )


def _departments(found: manage.Silos) -> None:
    frame = _seen(found).sort_values("cross_share_given")
    tables.show(
        frame,
        "silo measures of departments",
        {
            "department": st.column_config.TextColumn("Department", width="medium"),
            "people": st.column_config.NumberColumn("People", format="%d"),
            "cross_share_given": tables.share("Of what it gives leaves it"),
            "cross_share_received": tables.share("Of what it uses comes from others"),
            "cross_given_per_head": st.column_config.NumberColumn("Given a head", format="%.1f"),
            "cross_received_per_head": st.column_config.NumberColumn("Taken a head", format="%.1f"),
            "coleman": st.column_config.NumberColumn("Closed", format="%.2f", help="Coleman's index: 1 = all within."),
        },
        rows=20,
    )
    if found.shown.hidden:
        st.caption(
            f"{len(found.shown.hidden)} departments are not shown, so that nobody can tell what single people do."
        )


page("Silos", "How far departments share with each other, and where that is missing.", "manager", _show)
