"""Tables on pages: each can be taken away, and its rows lead on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.parts.exports import csv_of, parquet_of

ROW = 35  # pixels
ROWS = 12  # before a table scrolls
Whole = Callable[[], pd.DataFrame]

DAY = "D MMM YYYY"
MOMENT = "D MMM YYYY, HH:mm"


def moment(label: str, form: str = MOMENT) -> Any:
    """Return how a column of moments looks."""
    return st.column_config.DatetimeColumn(label, format=form, help="UTC")


def size(label: str, **more: Any) -> Any:
    """Return how a column of bytes looks."""
    return st.column_config.NumberColumn(label, format="bytes", width="small", **more)


def share(label: str, **more: Any) -> Any:
    """Return how a column of shares, 0 to 1, looks."""
    return st.column_config.ProgressColumn(label, format="percent", min_value=0.0, max_value=1.0, **more)


def show(
    frame: pd.DataFrame,
    name: str,
    columns: Mapping[str, Any],
    *,
    whole: Whole | None = None,
    choose: Callable[[pd.Series], None] | None = None,
    rows: int = ROWS,
) -> None:
    """Show a table with buttons that save all of it.

    Parameters
    ----------
    name
        What it holds, for the files that are saved, for screen readers and as a key: unlike any other on the page.
    columns
        Column of `frame` -> label or configuration; others are saved and not shown.
    whole
        Returns what is saved, if that is more than is shown; it is asked when somebody saves.
    choose
        Is called with the row that somebody selects.
    """
    key = f"table {name}"
    options: dict[str, Any] = {}
    if choose is not None:
        options = {"on_select": "rerun", "selection_mode": "single-row"}
    found = st.dataframe(
        frame[list(columns)],
        key=key,
        hide_index=True,
        width="stretch",
        height=ROW * (min(len(frame), rows) + 1) + 2,
        row_height=ROW,
        column_config=dict(columns),
        alt=name,
        **options,
    )
    _save(name, whole or (lambda: frame))
    if choose is not None and (selected := found["selection"]["rows"]):
        choose(frame.iloc[selected[0]])


def _save(name: str, whole: Whole) -> None:
    stem = f"{name.replace(' ', '-')}-{datetime.now(UTC):%Y-%m-%d}"
    with st.container(horizontal=True, horizontal_alignment="right", gap="small"):
        for kind, mime, write in (
            ("csv", "text/csv", csv_of),
            ("parquet", "application/vnd.apache.parquet", parquet_of),
        ):
            st.download_button(
                kind.upper() if kind == "csv" else "Parquet",
                data=partial(_written, write, whole),
                file_name=f"{stem}.{kind}",
                mime=mime,
                key=f"save {name} {kind}",
                icon=":material/download:",
                type="tertiary",
                on_click="ignore",
                help=f"Save this table as {kind.upper() if kind == 'csv' else 'Parquet'}.",
            )


def _written(write: Callable[[pd.DataFrame], bytes], whole: Whole) -> bytes:
    return write(whole())


def nothing(sentence: str, *commands: str, icon: str = "check_circle") -> None:
    """Say that there is nothing to show, and what to do if there should be."""
    st.info(sentence, icon=f":material/{icon}:")
    if commands:
        st.code("\n".join(commands), language="shell")
