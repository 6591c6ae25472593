"""The router: which pages there are. Started by ``data-platform dashboard``."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

# A picture of our own: Streamlit would load a named icon from another host.
st.set_page_config(page_title="Data platform", page_icon=str(Path(__file__).with_name("icon.png")), layout="wide")
FILES = st.Page("pages/files.py", title="Files", icon=":material/folder_open:")
QUESTION = st.Page("pages/answer.py", title="Question", icon=":material/help:")
# By a parameter, not by a path: files in pages/ Streamlit opens by their path, past this router.
st.navigation([QUESTION if "token" in st.query_params else FILES]).run()
