"""Retention: what is kept for how long, what must not go whatever the rules say, and what waits to go."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from dashboard.catalogue import Catalogue
from dashboard.display import human_bytes
from dashboard.identity import Viewer
from dashboard.parts import many, tables
from dashboard.parts.guard import page
from dashboard.parts.opening import open_file
from dashboard.queries import retention
from data_platform.settings import settings

RULES, HOLDS, WAITING, ENDED = "Rules", "Holds", "In quarantine", "What became of it"
HOW = {
    RULES: ("data-platform add-rule versions 10", "data-platform end-rule 1"),
    HOLDS: ('data-platform hold --reason "case 17" --owner amy', "data-platform release 1"),
    WAITING: ("data-platform retain --dry-run", "data-platform retain"),
}
DATED: dict[str, Any] = {
    "state": st.column_config.TextColumn("State", width="small"),
    "since": tables.moment("Since"),
    "by": "By",
    "ended_at": tables.moment("Ended"),
    "ended_by": "Ended by",
}
CONTENT: dict[str, Any] = {
    "file_name": st.column_config.TextColumn("A file that had it", width="medium"),
    "owner": "Owner",
    "files": "Files",
    "size": tables.size("Size"),
    "store_name": "Store",
    "sha256": "SHA-256",
}


def _show(known: Catalogue, viewer: Viewer) -> None:
    found = known.ask(retention.keeping, settings())
    st.subheader(_sentence(found))
    view = st.segmented_control(
        "Which", [RULES, HOLDS, WAITING, ENDED], default=RULES, key="which", required=True,
        label_visibility="collapsed", bind="query-params",
    )  # fmt: skip
    {RULES: _rules, HOLDS: _holds, WAITING: _waiting, ENDED: _ended}[view](found)
    if view in HOW:
        with st.expander("Change it"):
            st.text("Deciding what may go is done at a terminal, by somebody with the role of a steward:")
            st.code("\n".join(HOW[view]), language="shell")


def _sentence(found: retention.Keeping) -> str:
    rules, holds = (int((frame["state"] == "in force").sum()) for frame in (found.rules, found.holds))
    decided = f"{many(rules, 'rule')} and {many(holds, 'hold')} are in force" if rules else "Everything is kept"
    if not rules and holds:
        decided += f", and {many(holds, 'hold')} would outlast any rule"
    if not found.waiting_contents:
        return f"{decided}; nothing waits to go."
    waits = (
        f"{many(found.waiting_contents, 'content waits', 'contents wait')} to go ({human_bytes(found.waiting_bytes)})"
    )
    return f"{decided}; {waits}, the first on {found.first_goes_at:%d %B %Y}."


def _rules(found: retention.Keeping) -> None:
    if found.rules.empty:
        tables.nothing("There is no rule: every version that was ever read is kept for good.")
        return
    st.caption("Of several rules for a file the most generous one decides; a file without a rule is kept for good.")
    columns = {"number": _number(), "what": st.column_config.TextColumn("Keeps", width="large"), **DATED}
    tables.show(found.rules, "retention rules", columns)


def _holds(found: retention.Keeping) -> None:
    if found.holds.empty:
        tables.nothing("Nothing is held: the rules alone decide.", icon="gavel")
        return
    st.caption("What is held stays, whatever the rules say, and cannot be erased.")
    about = {
        "what": st.column_config.TextColumn("Holds", width="medium"),
        "reason": st.column_config.TextColumn("Why", width="medium"),
    }
    tables.show(found.holds, "legal holds", {"number": _number(), **about, **DATED})


def _number() -> Any:
    return st.column_config.NumberColumn("No.", format="%d", width="small")


def _waiting(found: retention.Keeping) -> None:
    if found.waiting.empty:
        tables.nothing("Nothing waits to go.")
        return
    _first(found.waiting, found.waiting_contents)
    columns = {"goes_at": tables.moment("Goes after"), "quarantined_at": tables.moment("Marked"), **CONTENT}
    tables.show(found.waiting, "contents in quarantine", columns, choose=open_file)


def _ended(found: retention.Keeping) -> None:
    if found.ended.empty:
        tables.nothing("Nothing has left the store by a rule yet.")
        return
    st.caption("Who read what stays known, also of what went.")
    columns = {"quarantine_ended_at": tables.moment("When"), "outcome": "Is", **CONTENT}
    tables.show(found.ended, "what left quarantine", columns, choose=open_file)


def _first(frame: pd.DataFrame, total: int) -> None:
    if total > len(frame):
        st.caption(f"These are the {len(frame):,} that go first.")


page("Retention", "What is kept for how long, what must not go, and what waits to go.", "steward", _show)
