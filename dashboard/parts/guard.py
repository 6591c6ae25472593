"""How a page begins and ends: who may see it, its title, and what is said where the catalogue does not answer."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from dashboard.catalogue import Catalogue, catalogue
from dashboard.identity import Viewer, require
from dashboard.parts import failed
from data_platform.errors import DataPlatformError

Body = Callable[[Catalogue, Viewer], None]


def page(title: str, caption: str, role: str, body: Body) -> None:
    """Show a page to whoever has the role; what the catalogue cannot answer becomes one sentence."""
    try:
        viewer = require(role)
        st.title(title)
        st.caption(caption)
        body(catalogue(), viewer)
    except DataPlatformError as error:
        catalogue.clear()  # connect anew at the next attempt
        failed("This page cannot be shown.", error)
