"""Audit trail: who read what, when, from which run, and what was refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import partial

import pandas as pd
import streamlit as st

from dashboard.catalogue import Catalogue
from dashboard.identity import Viewer
from dashboard.parts import tables
from dashboard.parts.guard import page
from dashboard.parts.opening import open_file
from dashboard.queries import govern

PAGE = 50
DAYS = 30
ALL, FAILED = "all", "failed"


def _show(known: Catalogue, viewer: Viewer) -> None:
    search = _search(known)
    total = known.ask(govern.count_audit, search)
    if not total:
        tables.nothing("Nothing was read that fits. Take an earlier first day, or fewer letters.", icon="search_off")
        return
    pages = -(-min(total, govern.COUNTED) // PAGE)
    number = min(st.session_state.get("page", 1), pages)
    frame = known.ask(govern.audit, search, limit=PAGE, offset=(number - 1) * PAGE)
    # Loops of frames and searches of one name would be one table: a selection must not wander.
    tables.show(
        frame,
        "audit trail",
        {
            "accessed_at": tables.moment("When", "D MMM YYYY, HH:mm:ss"),
            "reader": st.column_config.TextColumn("Who", width="medium"),
            "file_name": st.column_config.TextColumn("File", width="medium"),
            "outcome": "Outcome",
            "source_system": "Source",
            "access_size": tables.size("Size"),
            "entry_point": "With",
            "host": "Machine",
            "file_path": "Path",
        },
        whole=partial(known.ask, govern.audit, search, limit=govern.EXPORTED),
        choose=_entry,
        rows=15,
    )
    _pager(number, pages, total)


def _search(known: Catalogue) -> govern.Search:
    today = datetime.now(UTC).date()
    with st.container(border=True):
        left, right, where = st.columns([1, 1, 2])
        since = left.date_input(
            "From", today - timedelta(days=DAYS), key="since", bind="query-params", on_change=_first
        )
        until = right.date_input("To (UTC)", today, key="until", bind="query-params", on_change=_first)
        who = where.text_input("Who", placeholder="part of a name or login", key="who", bind="query-params",
                               on_change=_first)  # fmt: skip
        left, right = st.columns([2, 2])
        file = left.text_input("File", placeholder="part of a name or path", key="file", bind="query-params",
                               on_change=_first)  # fmt: skip
        days = govern.Search(_day(since), _day(until))
        choices = [ALL, "ok", FAILED, *known.ask(govern.outcomes, days)]
        outcome = right.selectbox("Outcome", choices, key="outcome", bind="query-params", on_change=_first)
        file_id = st.query_params.get("file_id", "")
        if file_id:
            st.badge("One file only", icon=":material/draft:")
            st.button("Show all files", on_click=_all_files, type="tertiary", icon=":material/close:")
    return govern.Search(days.since, days.until, who, file, file_id, "" if outcome == ALL else outcome)


def _day(chosen: object) -> date:
    return chosen if isinstance(chosen, date) else datetime.now(UTC).date()


def _first() -> None:
    st.session_state["page"] = 1


def _all_files() -> None:
    st.query_params.pop("file_id", None)
    _first()


def _pager(number: int, pages: int, total: int) -> None:
    left, right = st.columns([4, 1], vertical_alignment="center")
    more = f"more than {govern.COUNTED:,}" if total > govern.COUNTED else f"{total:,}"
    left.caption(
        f"{more} entries, page {number:,} of {pages:,}; saved are at most {govern.EXPORTED:,} with all columns."
    )
    if pages > 1:
        st.session_state["page"] = number
        right.number_input("Page", 1, pages, key="page", label_visibility="collapsed")


def _entry(row: pd.Series) -> None:
    """Show all that is known of one entry."""
    with st.container(border=True):
        st.subheader("Entry")
        told = {
            "Login": f"{row['account_realm']} {row['account_login']}",
            "On behalf of": row["on_behalf_of"],
            "Link": row["url"],
            "What was said": row["message"],
            "SHA-256 of the bytes": row["sha256"],
            "Function": row["function_name"],
            "Repository": row["repository"],
            "Commit": row["commit_id"],
            "Run": row["execution_id"],
            "Event": row["event_id"],
            "Delivered (UTC)": f"{row['delivered_at']:%Y-%m-%d %H:%M:%S}",
        }
        st.text("\n".join(f"{name}: {value}" for name, value in told.items() if value and not pd.isna(value)))
    open_file(row)


page("Audit trail", "Who read what, when, from which run; nothing here can be changed.", "steward", _show)
