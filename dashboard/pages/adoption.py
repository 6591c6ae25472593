"""Adoption: how many use the catalogue, how that grows, and which department gives and takes what."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.catalogue import Catalogue
from dashboard.display import plain
from dashboard.identity import Viewer
from dashboard.parts import charts, tables
from dashboard.parts.figures import BEHIND, open_button, show_behind
from dashboard.parts.guard import page
from dashboard.queries import manage

SERIES = {
    "People": ([("reader_count", "read shared data"), ("producer_count", "had files that others read")], ",.0f", ""),
    "Reads": ([("read_count", "reads by people")], ",.0f", ""),
    "Across departments": ([("cross_share", "of reads of somebody else's file")], ".0%", ""),
    "Bytes": ([("gb_logical", "in files"), ("gb_distinct", "different")], ",.1f", "GB"),
}
DEPARTMENTS, SOURCES = "Departments", "Sources"


def _show(known: Catalogue, viewer: Viewer) -> None:
    use = _adoption(known, known.ask(manage.newest))
    if use is None:
        tables.nothing("There are no figures yet: they come with the first snapshot.", "data-platform snapshot",
                       "data-platform worker --once", icon="timeline")  # fmt: skip
        return
    st.subheader(plain(use.sentences[0]))
    for sentence in use.sentences[1:]:
        st.text(sentence)
    _figures(use, viewer)
    _trend(known, known.ask(manage.newest))
    _parts(use)
    _report(known)


@st.cache_data(show_spinner="Counting …", max_entries=8)
def _adoption(_known: Catalogue, newest: int) -> manage.Use | None:
    return _known.ask(manage.adoption)


@st.cache_data(show_spinner=False, max_entries=8)
def _history(_known: Catalogue, newest: int) -> pd.DataFrame:
    return _known.ask(manage.adoption_trend)


def _figures(use: manage.Use, viewer: Viewer) -> None:
    for start in range(0, len(use.figures), 4):
        for column, figure in zip(st.columns(4), use.figures[start : start + 4], strict=False):
            with column.container(border=True, height="stretch", gap="xxsmall"):
                st.metric(figure.label.capitalize(), figure.value)
                st.caption(plain(figure.note))
                open_button(figure.label)
    opened = st.query_params.get("figure", "")
    if opened in BEHIND:
        show_behind(use.now, viewer, opened)


def _trend(known: Catalogue, newest: int) -> None:
    frame = _history(known, newest)
    if len(frame) < 2:
        return
    with st.container(border=True):
        left, right = st.columns([1, 2], vertical_alignment="center")
        left.subheader("Over time")
        which = right.segmented_control(
            "What is drawn", list(SERIES), default="People", key="drawn", required=True, label_visibility="collapsed",
            bind="query-params",
        )  # fmt: skip
        series, form, unit = SERIES[which]
        frame = frame.assign(gb_logical=frame["bytes_logical"] / 1e9, gb_distinct=frame["bytes_distinct"] / 1e9)
        drawn = charts.lines(frame, "day", series, form, unit)
        charts.draw(drawn, f"{which} by day of the snapshot: " + ", ".join(name for _, name in series))
        st.caption(f"Each point looks back on {frame['window_days'].iloc[-1]} days, so points near each other overlap.")
        shown = frame[["day", *(column for column, _ in series)]]
        with st.expander("As a table"):
            tables.show(shown, "adoption over time", {"day": "Day"} | dict(series))


def _parts(use: manage.Use) -> None:
    part = st.segmented_control(
        "Part", [DEPARTMENTS, SOURCES], default=DEPARTMENTS, key="part", required=True, label_visibility="collapsed",
        bind="query-params",
    )  # fmt: skip
    if part == DEPARTMENTS:
        _departments(use)
    else:
        _sources(use)


def _departments(use: manage.Use) -> None:
    frame = pd.DataFrame(use.now.departments)
    if frame.empty:
        tables.nothing("No department has enough people who read to be shown.", icon="groups")
        return
    drawn = charts.give_and_take(frame.head(50))
    charts.draw(drawn, "Reads across departments: what each department gives to others, and takes from them")
    frame["reach"] = frame["readers"] / frame["people"]
    tables.show(
        frame,
        "departments",
        {
            "department": st.column_config.TextColumn("Department", width="medium"),
            "people": "People",
            "reach": tables.share("Of them read"),
            "producers": "Shared with others",
            "read_count": "Reads",
            "cross_given": "Given",
            "cross_received": "Taken",
            "coverage": tables.share("Logged reads captured"),
        },
    )
    if use.now.hidden:
        st.caption(f"{use.now.hidden} departments are not shown, so that nobody can tell what single people do.")


def _sources(use: manage.Use) -> None:
    frame = pd.DataFrame(use.now.sources, columns=["source_system", "source_kind", "readers", "read_count"])
    if frame.empty:
        tables.nothing("Nothing has been read yet.", icon="inbox")
        return
    columns: dict[str, Any] = {"source_system": st.column_config.TextColumn("Source", width="large")}
    tables.show(frame, "sources", columns | {"source_kind": "Kind", "readers": "People", "read_count": "Reads"})


def _report(known: Catalogue) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown("**Monthly report** to pass on, with all of this")
        for kind, mime in (("pdf", "application/pdf"), ("html", "text/html")):
            st.download_button(
                kind.upper(),
                data=partial(known.ask, manage.report, kind),
                file_name=f"sharing-report.{kind}",
                mime=mime,
                icon=":material/download:",
                on_click="ignore",
                key=f"report {kind}",
            )


page("Adoption", "How many use shared data, how that grows, and who gives and takes.", "manager", _show)
