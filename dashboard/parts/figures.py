"""The rows behind figures of adoption that may be shown: parts of departments and sources, or another page."""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd
import streamlit as st

from dashboard.identity import Viewer
from dashboard.navigation import link
from dashboard.parts import tables
from populate.adoption.publish import PublishedAdoption


class Behind(NamedTuple):
    """What a figure is made of: ``departments`` or ``sources``, columns of these, and a page that has more."""

    rows: str
    columns: dict[str, str]
    page: str
    label: str
    role: str


OF_READS = ("audit", "Each read, in the audit trail", "steward")
BEHIND = {
    "people who read": Behind("departments", {"people": "People", "readers": "Of them read"}, *OF_READS),
    "reads": Behind("sources", {"source_kind": "Kind", "readers": "People", "read_count": "Reads"}, *OF_READS),
    "reads across departments": Behind(
        "departments",
        {"read_count": "Reads", "cross_received": "Of others' files", "cross_given": "By others of its files"},
        *("silos", "Between which departments", "manager"),
    ),
    "of logged reads captured": Behind(
        "departments",
        {"audit_read_count": "Reads that sources logged", "captured_read_count": "Of them captured"},
        *("operate", "How sources are", "engineer"),
    ),
    "of contents backed up": Behind("", {}, "backups", "What is kept, and what could not be", "steward"),
    "in duplicates": Behind("", {}, "duplicates", "Which copies there are", "manager"),
    "questions answered": Behind("", {}, "duplicates", "What came of the questions about copies", "manager"),
}
"""By the label of the figure, as `populate.adoption.report.figures_of` has it."""

FIRST = {"departments": ("department", "Department"), "sources": ("source_system", "Source")}


def rows_behind(now: PublishedAdoption, label: str) -> pd.DataFrame:
    """Return the rows behind a figure that may be shown; without any, an empty frame."""
    behind = BEHIND[label]
    if not behind.rows:
        return pd.DataFrame()
    columns = [FIRST[behind.rows][0], *behind.columns]
    return pd.DataFrame(getattr(now, behind.rows), columns=columns).dropna(subset=list(behind.columns)[-1:])


def show_behind(now: PublishedAdoption, viewer: Viewer, label: str) -> None:
    """Show what a figure is made of, and where there is more."""
    behind = BEHIND[label]
    with st.container(border=True):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown(f"**{label.capitalize()}**, by {behind.rows.removesuffix('s') or 'content'}")
            if viewer.may(behind.role):
                link(behind.label, behind.page, "arrow_forward")
            st.button("Close", icon=":material/close:", type="tertiary", on_click=_close)
        frame = rows_behind(now, label)
        if len(frame):
            column, title = FIRST[behind.rows]
            name: dict[str, Any] = {column: st.column_config.TextColumn(title, width="medium")}
            tables.show(frame, f"{label} by {behind.rows}", name | behind.columns)
            if behind.rows == "departments" and now.hidden:
                st.caption(f"{now.hidden} departments are not shown, so that nobody can tell what single people do.")
        elif behind.rows:
            st.caption("No row of it may be shown: there are too few people in each.")


def open_button(label: str) -> None:
    """Offer what a figure is made of; that it is open is in the address."""
    if label in BEHIND:
        st.button(
            "What it is made of",
            key=f"behind {label}",
            icon=":material/table_rows:",
            type="tertiary",
            on_click=lambda: st.query_params.update({"figure": label}),
        )


def _close() -> None:
    st.query_params.pop("figure", None)
