"""The router: which pages there are, and for whom. Started by ``data-platform dashboard``."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard import navigation, shell
from dashboard.catalogue import catalogue
from dashboard.identity import viewer
from dashboard.parts import failed
from data_platform.errors import DataPlatformError

HERE = Path(__file__).parent


def route() -> None:
    """Run the page that the address asks for, as far as whoever looks may see it."""
    # A picture of our own: Streamlit would load a named icon from another host.
    st.set_page_config(page_title="Data platform", page_icon=str(HERE / "icon.png"), layout="wide")
    st.html(HERE / "style.html")
    # Who has the link of a mail needs no sign-in.
    if "token" in st.query_params:
        st.navigation([st.Page(navigation.file_of("answer"), title="Question")], position="hidden").run()
        return
    try:
        found = viewer()
    except DataPlatformError as error:
        catalogue.clear()  # connect anew at the next attempt
        failed("The catalogue cannot be shown.", error)
        st.stop()
    page = st.navigation(navigation.pages(found.roles), expanded=True)
    shell.show(found)
    page.run()
