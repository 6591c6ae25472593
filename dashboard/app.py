"""The router: which pages there are. Started by ``data-platform dashboard``."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

# A picture of our own: Streamlit would load a named icon from another host.
st.set_page_config(page_title="Data platform", page_icon=str(Path(__file__).with_name("icon.png")), layout="wide")
PAGES = [
    st.Page("pages/files.py", title="Files", icon=":material/folder_open:"),
    st.Page("pages/answer.py", title="Question", icon=":material/help:"),
]
st.navigation(PAGES, position="hidden").run()  # the second one is reached by the links in mails
