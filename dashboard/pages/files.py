"""Files: whose they are, who reads them, in which versions, and whether these are backed up."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

import pandas as pd
import streamlit as st

from dashboard.catalogue import Catalogue, catalogue
from dashboard.display import backup_state, human_bytes
from dashboard.identity import require
from dashboard.parts import failed
from dashboard.queries import files as queries
from data_platform.errors import DataPlatformError

PAGE = 50
ROWS = 12  # of a page, before it scrolls
ROW = 35  # pixels
OLD_SECONDS = 60.0  # before the time of the figures is shown
ANYWHERE = "Search all of the path and the owner's name, which takes the longer the more files there are."


def show() -> None:
    """The page from top to bottom; what the database cannot answer becomes one sentence."""
    st.title("All files")
    st.caption("Whose they are, who reads them, in which versions, and whether these are backed up.")
    try:
        require("steward")
        known = catalogue()
        _headline(known)
        _list(known)
    except DataPlatformError as error:
        catalogue.clear()  # connect anew at the next attempt
        failed("The catalogue cannot be shown.", error)


def _headline(known: Catalogue) -> None:
    if known.ask(queries.is_demo):
        st.info("Demonstration: the people are invented, the data sets are public.", icon=":material/theater_comedy:")
    numbers, counted_at = known.figures.latest()
    if "counted_at" in numbers:
        counted_at = datetime.fromtimestamp(numbers["counted_at"], UTC)
    saved = numbers["bytes_in"] - numbers["bytes_distinct"]
    columns = [*st.columns(3), *st.columns(3)]  # six in a row would be cut off
    columns[0].metric("Reads", f"{numbers['read_count']:,}", border=True)
    columns[1].metric("People", f"{numbers['people']:,}", border=True)
    columns[2].metric("Files", f"{numbers['files']:,}", border=True)
    columns[3].metric("Versions", f"{numbers['versions']:,}", border=True)
    columns[4].metric("Backed up", human_bytes(numbers["bytes_kept"]), border=True)
    columns[5].metric(
        "Saved", human_bytes(saved), border=True, help="Bytes of versions that did not have to be kept twice."
    )
    if (datetime.now(UTC) - counted_at).total_seconds() >= OLD_SECONDS:
        st.caption(f"Counted at {counted_at:%H:%M:%S} UTC; the more there is, the more seldom.")


def _list(known: Catalogue) -> None:
    search, anywhere, state, sort, descending = _controls()
    total = known.ask(queries.count_files, search=search, anywhere=anywhere, state=state)
    if not total and search and not anywhere:
        anywhere = True
        total = known.ask(queries.count_files, search=search, anywhere=anywhere, state=state)
        st.caption("No file's name starts like this. These have it in their path or their owner's name:")
    if not total:
        _nothing(bool(search or state))
        return
    pages = -(-total // PAGE)
    number = min(st.session_state.get("page", 1), pages)
    frame = known.ask(
        queries.files,
        search=search,
        anywhere=anywhere,
        state=state,
        sort=sort,
        descending=descending,
        limit=PAGE,
        offset=(number - 1) * PAGE,
    )
    _table(frame, key=f"files {number} {sort} {descending} {state} {anywhere} {search}")
    _pager(number, pages, total)
    if wanted := st.query_params.get("file"):
        _details(known, wanted)
    else:
        st.caption("Select a row to see its versions, readers and copies.")


def _controls() -> tuple[str, bool, str, str, bool]:
    left, where, middle, right, last = st.columns([4, 2.6, 2, 2, 1.8], vertical_alignment="bottom")
    search = left.text_input("Search", placeholder="start of a file's name", key="search", on_change=_first_page)
    anywhere = where.toggle("Anywhere", key="anywhere", on_change=_first_page, help=ANYWHERE)
    state = middle.selectbox("Backup", ["all", *queries.STATES], key="state", on_change=_first_page)
    sort = right.selectbox("Sort by", list(queries.SORTS), index=list(queries.SORTS).index("last read"), key="sort")
    order = last.segmented_control("Order", ["↓", "↑"], default="↓", key="order")
    return search, anywhere, "" if state == "all" else state, sort, order != "↑"


def _first_page() -> None:
    st.session_state["page"] = 1


def _nothing(filtered: bool) -> None:
    if filtered:
        st.info("No file matches. Use fewer letters, or show all backup states.", icon=":material/search_off:")
    else:
        st.info("Nothing has been read yet. Read something, then let the worker run:", icon=":material/inbox:")
        st.code("data-platform read PATH_OR_LINK\ndata-platform worker --once", language="shell")


def _table(frame: pd.DataFrame, key: str) -> None:
    """Show a page of files; the one selected goes into the address, so that it can be passed on."""
    # Another page is another table: a selection must not wander to the file that is now in its row.
    states = [backup_state(state, reason) for state, reason in zip(frame["backup"], frame["reason"], strict=True)]
    names = [
        f"{name}/" if members else name for name, members in zip(frame["file_name"], frame["members"], strict=True)
    ]
    shown = pd.DataFrame(
        {
            "Name": names,
            "Owner": frame["owner"],
            "Readers": frame["readers"],
            "Versions": frame["versions"],
            "Size": frame["size"],
            "Last read": frame["last_read"],
            "Backup": states,
            "Path": frame["file_path"],
        }
    )
    st.dataframe(
        shown,
        key=key,
        hide_index=True,
        width="stretch",
        height=ROW * (min(len(shown), ROWS) + 1) + 2,
        row_height=ROW,
        on_select=partial(_select, key, list(frame["file_id"])),
        selection_mode="single-row",
        column_config={
            "Name": st.column_config.TextColumn(width="medium"),
            "Readers": st.column_config.ListColumn(help="People who read it, by name.", width="large"),
            "Versions": st.column_config.NumberColumn(width="small"),
            "Size": st.column_config.NumberColumn(format="bytes", width="small"),
            "Last read": st.column_config.DatetimeColumn(format="D MMM YYYY, HH:mm", help="UTC"),
        },
    )


def _select(key: str, file_ids: list[str]) -> None:
    rows = st.session_state[key]["selection"]["rows"]
    if rows:
        st.query_params["file"] = file_ids[rows[0]]
    else:
        st.query_params.pop("file", None)


def _pager(number: int, pages: int, total: int) -> None:
    left, right = st.columns([4, 1], vertical_alignment="center")
    left.caption(f"{total:,} files, page {number:,} of {pages:,}")
    if pages > 1:
        st.session_state["page"] = number
        right.number_input("Page", 1, pages, key="page", label_visibility="collapsed")


def _details(known: Catalogue, file_id: str) -> None:
    file = known.ask(queries.file, file_id)
    if file is None:
        st.warning("This file is not in the catalogue.", icon=":material/question_mark:")
        return
    with st.container(border=True):
        st.subheader("Selected file")
        st.text(f"{file['file_name']}\n{file['file_path']}\nOwner: {file['owner'] or 'not known'}")
        versions, readers, copies = st.tabs(["Versions", "Readers", "Copies"])
        with versions:
            _versions(known.ask(queries.versions, file_id))
        with readers:
            _readers(known.ask(queries.readers, file_id))
        with copies:
            _copies(known.ask(queries.copies, file_id))


def _versions(frame: pd.DataFrame) -> None:
    frame["backup"] = [backup_state(state) for state in frame["backup"]]
    st.dataframe(
        frame[["first_read", "last_read", "size", "backup", "sha256"]],
        hide_index=True,
        width="stretch",
        column_config={
            "first_read": st.column_config.DatetimeColumn("First read", format="D MMM YYYY, HH:mm:ss", help="UTC"),
            "last_read": st.column_config.DatetimeColumn("Last read", format="D MMM YYYY, HH:mm:ss", help="UTC"),
            "size": st.column_config.NumberColumn("Size", format="bytes"),
            "backup": "Backup",
            "sha256": "SHA-256",
        },
    )
    st.caption("Any version comes back with `data-platform restore SHA256`, or `read(link, version=…)` in Python.")


def _readers(frame: pd.DataFrame) -> None:
    st.dataframe(
        frame[["reader", "department", "read_count", "first_read", "last_read", "entry_point"]],
        hide_index=True,
        width="stretch",
        column_config={
            "reader": "Reader",
            "department": "Department",
            "read_count": "Reads",
            "first_read": st.column_config.DatetimeColumn("First", format="D MMM YYYY, HH:mm:ss", help="UTC"),
            "last_read": st.column_config.DatetimeColumn("Last", format="D MMM YYYY, HH:mm:ss", help="UTC"),
            "entry_point": "With",
        },
    )


def _copies(frame: pd.DataFrame) -> None:
    if frame.empty:
        st.caption("No other file is known to hold the same bytes.")
        return
    st.dataframe(
        frame,
        hide_index=True,
        width="stretch",
        column_config={
            "file_name": "Name",
            "file_path": "Path",
            "owner": "Owner",
            "size": st.column_config.NumberColumn("Size", format="bytes"),
            "sha256": "SHA-256",
        },
    )


show()
