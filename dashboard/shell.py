"""What is round every page: the mark, who looks, and how to sign out."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard.catalogue import catalogue
from dashboard.identity import KEPT, PERSONA, Viewer
from dashboard.queries.files import is_demo
from dashboard.queries.people import personas
from data_platform.settings import settings

HERE = Path(__file__).parent
ROLES = {"steward": "data steward", "manager": "manager", "engineer": "engineer"}


def show(viewer: Viewer) -> None:
    """Show it."""
    st.logo(str(HERE / "logo.svg"), icon_image=str(HERE / "icon.png"), size="large")
    with st.sidebar:
        if settings().dashboard.signs_in:
            _signed_in(viewer)
        elif catalogue().ask(is_demo):
            _invented()
        else:
            st.caption("On this machine you have every role.", help="Nobody signs in: `dashboard.oidc_url` is not set.")


def _signed_in(viewer: Viewer) -> None:
    st.text(viewer.name)
    roles = [name for role, name in ROLES.items() if viewer.may(role)]
    st.caption(", ".join(roles) or "scientist")
    st.button("Sign out", icon=":material/logout:", on_click=st.logout, type="tertiary")


def _invented() -> None:
    people = catalogue().ask(personas)
    st.selectbox(
        "Look as",
        ["", *people],
        format_func=lambda account: people.get(account, "yourself"),
        key=PERSONA,
        on_change=lambda: st.session_state.pop(KEPT, None),
        help="The people of this demonstration are invented, the data are public. Everybody sees what they may know.",
    )
