"""Erasures: what was ordered to be nowhere any more, by whom and why, and whether a store still has it."""

from __future__ import annotations

import streamlit as st

from dashboard.catalogue import Catalogue
from dashboard.identity import Viewer
from dashboard.parts import many, tables
from dashboard.parts.guard import page
from dashboard.parts.opening import open_file
from dashboard.queries import govern

HOW = 'data-platform erase SHA256 --reason "Patient 0118 withdrew consent"'


def _show(known: Catalogue, viewer: Viewer) -> None:
    frame = known.ask(govern.erasures)
    if frame.empty:
        tables.nothing("Nothing was ever erased. A content that must not be kept is erased by its hash:", HOW)
        return
    kept = int(frame["kept"].sum())
    state = f"{many(kept, 'is', 'are')} still kept by a store: erase again" if kept else "none of them is kept any more"
    st.subheader(f"{many(len(frame), 'content was', 'contents were')} erased; {state}.")
    frame["state"] = ["still kept" if row else "gone" for row in frame["kept"]]
    tables.show(
        frame,
        "erasures",
        {
            "erased_at": tables.moment("Ordered"),
            "erased_by": "By",
            "erase_reason": st.column_config.TextColumn("Why", width="large"),
            "state": "State",
            "files": st.column_config.NumberColumn("Files", help="That held it. Sources keep their own."),
            "size": tables.size("Size"),
            "file_name": st.column_config.TextColumn("One of them", width="medium"),
            "sha256": "SHA-256",
        },
        choose=open_file,
    )
    with st.expander("Erase another content"):
        st.text("Erasing cannot be undone, so it is done at a terminal, by somebody with the role of a steward:")
        st.code(HOW, language="shell")


page("Erasures", "What was ordered to be nowhere any more; who read it stays known.", "steward", _show)
