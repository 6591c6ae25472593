"""The survey of My data: one question, at most once a quarter, that can be declined for ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, ParamSpec

import streamlit as st

from dashboard.identity import Viewer
from dashboard.parts import attempt
from data_platform.errors import DataPlatformError
from populate.adoption.survey import WEEK, choose_survey, due, note_asked, record_hours, wanted
from populate.who.asker import Asker

P = ParamSpec("P")
ASKING = "survey for"  # in the state of a session: the person who is being asked in it, or empty
QUESTION = "How many hours did shared data save you in the last week?"
HELP = "Below 0 if it cost you time."
USE = "Your estimate, about. Nobody is shown what you say: only the middle of at least five answers, and how many told."


def survey(viewer: Viewer) -> None:
    """Ask how much time the product saves, if it is time to ask whoever looks."""
    if not _asking(viewer):
        return
    with st.container(border=True, gap="xsmall"):
        st.markdown(f"**{QUESTION}**")
        st.caption(USE)
        with st.container(horizontal=True, vertical_alignment="bottom"):
            hours = st.number_input("Hours", -WEEK, WEEK, None, 0.5, help=HELP, width=160, placeholder="Hours",
                                    label_visibility="collapsed", key="survey hours")  # fmt: skip
            st.button("Tell", type="primary", disabled=hours is None, key="survey tell",
                      on_click=lambda: _done(viewer, record_hours, hours or 0.0))  # fmt: skip
            st.button("Not now", key="survey later", on_click=_put_away)
            st.button("Never ask me", key="survey never", type="tertiary",
                      on_click=lambda: _done(viewer, choose_survey, False))  # fmt: skip


def _asking(viewer: Viewer) -> bool:
    """Tell whether the question is shown; it is recorded first, and stays for the session that it was shown in."""
    if ASKING not in st.session_state:
        st.session_state[ASKING] = ""
        try:
            if viewer.ask(due):
                viewer.enter(note_asked)
                st.session_state[ASKING] = viewer.asker.person_id
        except DataPlatformError:  # the login may not add rows: then nobody is asked, and the page is as ever
            pass
    return bool(viewer.asker.person_id) and st.session_state[ASKING] == viewer.asker.person_id


def _done(viewer: Viewer, act: Callable[Concatenate[Asker, P], None], *args: P.args, **values: P.kwargs) -> None:
    if attempt(lambda: viewer.enter(act, *args, **values)):
        _put_away()
        st.toast("Noted, thank you.", icon=":material/check:")


def _put_away() -> None:
    st.session_state[ASKING] = ""


def choice(viewer: Viewer) -> None:
    """Show whether one is asked, to be changed."""
    now = viewer.ask(wanted)
    wants = st.toggle("Ask me at most once a quarter", value=now)
    if wants != now:
        attempt(lambda: viewer.enter(choose_survey, wants))
