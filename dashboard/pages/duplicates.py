"""Duplicates: what copies amount to, what was saved by removing them, and which the largest are."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard.catalogue import Catalogue
from dashboard.display import human_bytes
from dashboard.identity import Viewer
from dashboard.parts import charts, tables
from dashboard.parts.guard import page
from dashboard.parts.opening import open_file
from dashboard.queries import manage
from populate.who.whom import day


def _show(known: Catalogue, viewer: Viewer) -> None:
    told = _duplicates(known)
    found, ledger = told.found, told.ledger
    if not found.copies:
        tables.nothing(
            "No two files are known to hold the same bytes.", "data-platform adopt FOLDER", icon="content_copy"
        )
        st.caption("Copies are found as files are read, and all at once where a share is taken in.")
        return
    saving = human_bytes(found.bytes_saved)
    st.subheader(f"{found.copies:,} files hold only {found.contents:,} contents: {saving} are copies.")
    st.text(f"{human_bytes(ledger.bytes_saved)} have been saved since owners were asked about theirs.")
    tiles = [
        ("In files", human_bytes(found.bytes_logical), "Bytes of all files that are one of several copies."),
        ("Could be saved", saving, "If of each content one file were left."),
        ("Saved by people", human_bytes(ledger.bytes_saved), f"By {ledger.copies:,} copies that are seen to be gone."),
        ("Promised", human_bytes(ledger.bytes_promised), "Their owners want to remove them; they are still there."),
    ]
    for column, (label, value, meant) in zip(st.columns(4), tiles, strict=True):
        column.metric(label, value, border=True, help=meant)
    if found.day:
        st.caption(f"Files and what could be saved are as of {day(found.day)}; all else is as of now.")
    _ledger(told)
    if viewer.may("steward"):
        _largest(told.copies)
    else:
        st.caption("Which files these are is shown to data stewards, and to everybody of their own files.")


@st.cache_data(show_spinner="Comparing files …", ttl=300, max_entries=2)
def _duplicates(_known: Catalogue) -> manage.Duplicates:
    return _known.ask(manage.duplicates)


def _ledger(found: manage.Duplicates) -> None:
    st.subheader("Ledger of saved bytes")
    rows = manage.ledger_rows(found.ledger)
    if rows.empty:
        tables.nothing("Nothing that may be shown was saved yet. Ask the owners of copies:", "data-platform ask",
                       icon="savings")  # fmt: skip
    else:
        months = rows.groupby("month").agg(bytes_saved=("bytes_saved", "sum")).reset_index()
        months["megabytes"] = months["bytes_saved"] / 1e6
        if len(months) > 1:
            charts.draw(charts.bars(months, "month", "megabytes", "MB saved", "yearmonth"), "Bytes saved, by month")
        columns = {
            "month": "Month",
            "department": "Department",
            "copies": "Copies",
            "bytes_saved": tables.size("Saved"),
        }
        tables.show(rows, "ledger", columns)
    if found.ledger.hidden:
        st.caption(f"{found.ledger.hidden} departments are too small to be shown by name.")


def _largest(copies: pd.DataFrame) -> None:
    st.subheader("Largest duplicates")
    if copies.empty:
        tables.nothing("The largest ones were removed since.", "data-platform duplicates", icon="content_copy")
        return
    st.caption("The content that most could be saved of comes first. Select a row to open the file.")
    tables.show(
        copies,
        "duplicates",
        {
            "content": st.column_config.TextColumn("Content", help="Beginning of the SHA-256."),
            "file_name": st.column_config.TextColumn("File", width="medium"),
            "original": st.column_config.TextColumn("Which", width="small"),
            "owner": "Owner",
            "department": "Department",
            "size": tables.size("Size"),
            "first_seen": tables.moment("First read", tables.DAY),
            "file_path": "Path",
        },
        choose=open_file,
    )


page("Duplicates", "What copies amount to, and what was saved by removing them.", "manager", _show)
