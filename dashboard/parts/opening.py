"""Where rows of tables lead to."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import navigation


def open_file(row: pd.Series) -> None:
    """Offer a row's file to a steward, who sees all of them, and who read it."""
    if not row["file_id"]:
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.text(str(row["file_path"] or row["file_name"] or row["file_id"]))
        navigation.link("Open the file", "files", "draft", file=str(row["file_id"]))
        navigation.link("Who read it", "audit", "history", file_id=str(row["file_id"]), since="1970-01-01")
