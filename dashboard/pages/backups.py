"""Backups: what is kept, what was read back whole lately, what is damaged, and what could not be kept."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard.catalogue import Catalogue
from dashboard.display import human_bytes
from dashboard.identity import Viewer
from dashboard.parts import charts, many, tables
from dashboard.parts.guard import page
from dashboard.parts.opening import open_file
from dashboard.queries import govern
from populate.backup.proof import PROVEN_DAYS

DAMAGED, FAILED, MENDED = "Damaged", "Not backed up", "Mended"
UNITS = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))
FILE = {
    "file_name": st.column_config.TextColumn("File", width="medium"),
    "owner": "Owner",
}


def _show(known: Catalogue, viewer: Viewer) -> None:
    found = _backups(known)
    numbers = found.numbers
    if not numbers["places"] and found.failed.empty:
        tables.nothing("Nothing is backed up yet. Read something, then let the worker run:",
                       "data-platform read PATH_OR_LINK", "data-platform worker --once", icon="inventory")  # fmt: skip
        return
    share = numbers["proven_bytes"] / numbers["stored_bytes"] if numbers["stored_bytes"] else 0.0
    st.subheader(_sentence(numbers, share))
    st.space("xsmall")
    tiles = [
        ("Kept", human_bytes(numbers["stored_bytes"]), many(numbers["contents"], "content")),
        ("Proven", f"{share:.0%}", f"Bytes that were read back whole in the last {PROVEN_DAYS} days."),
        (
            "Damaged",
            f"{numbers['contents_damaged']:,}",
            "Contents that a store has lost and that nobody could fetch again.",
        ),
        ("Not backed up", f"{len(found.failed):,}", "Versions whose last attempt failed."),
    ]
    for column, (label, value, told) in zip(st.columns(4), tiles, strict=True):
        column.metric(label, value, border=True, help=told)
    if not found.proven.empty:
        charts.draw(
            charts.bars(found.proven, "verified_on", "contents", "contents read back"),
            f"Contents that were read back whole, by day, in the last {PROVEN_DAYS} days",
        )
        waits = numbers["oldest_unproven_days"]
        waited = f"; the one that waits longest for {many(waits, 'day')}" if waits else ""
        st.caption(
            f"Read back and whole, by day. {numbers['contents_unproven']:,} contents wait for their turn{waited}."
            f"{_to_restore(numbers['restore_seconds'])}"
        )
    _rows(found)


@st.cache_data(show_spinner="Looking at the store …", ttl=30, max_entries=2)
def _backups(_known: Catalogue) -> govern.Backups:
    return _known.ask(govern.backups)


def _to_restore(seconds: int) -> str:
    if seconds < 0:
        return ""
    unit, length = next((one for one in UNITS if seconds >= 2 * one[1]), UNITS[-1])
    return f" As fast as that went, one process has everything back in {many(-(-seconds // length), unit)}."


def _sentence(numbers: dict[str, int], share: float) -> str:
    damaged = numbers["contents_damaged"]
    state = f"{many(damaged, 'is', 'are')} damaged" if damaged else "none is known to be damaged"
    return f"{numbers['contents']:,} contents are kept; {share:.0%} of their bytes were proven lately, {state}."


def _rows(found: govern.Backups) -> None:
    view = st.segmented_control(
        "Which", [DAMAGED, FAILED, MENDED], default=DAMAGED, key="which", required=True, label_visibility="collapsed",
        bind="query-params",
    )  # fmt: skip
    {DAMAGED: _damaged, FAILED: _failed, MENDED: _mended}[view](
        getattr(found, {FAILED: "failed"}.get(view, view.lower()))
    )


def _damaged(frame: pd.DataFrame) -> None:
    if frame.empty:
        tables.nothing("Every content that was looked at is whole.")
        return
    st.caption(
        "A copy is fetched again from the source by itself. Where that has failed, read the file, then try again."
    )
    columns = {
        "found_at": tables.moment("Found"),
        **FILE,
        "damage": "What",
        "damage_detail": "Detail",
        "size": tables.size("Size"),
        "sha256": "SHA-256",
    }
    tables.show(frame, "damaged contents", columns, choose=open_file)


def _failed(frame: pd.DataFrame) -> None:
    if frame.empty:
        tables.nothing("Everything that was read is backed up, or on its way.")
        return
    columns = {
        "tried_at": tables.moment("Tried"),
        **FILE,
        "reason": "Why",
        "message": st.column_config.TextColumn("Said", width="large"),
        "attempt": "Attempts",
        "next": "Now it",
    }
    tables.show(frame, "not backed up", columns, choose=open_file)


def _mended(frame: pd.DataFrame) -> None:
    if frame.empty:
        tables.nothing("Nothing had to be mended.")
        return
    columns = {
        "mended_at": tables.moment("Mended"),
        "found_at": tables.moment("Found"),
        **FILE,
        "damage": "What",
        "mended_how": "How",
        "sha256": "SHA-256",
    }
    tables.show(frame, "mended contents", columns, choose=open_file)


page("Backups", "What is kept, and that it can be had again.", "steward", _show)
