"""A colleague is asked by a mail or a chat that is drafted for one: nothing is sent from here."""

from __future__ import annotations

from urllib.parse import quote, urlencode

import streamlit as st

from dashboard.identity import Viewer
from data_platform.errors import DataPlatformError
from populate.conversation.wording import harmless
from populate.who.asker import Colleague
from populate.who.asks import record_ask

SHORT = 60


def draft(colleague: str, viewer: str, about: str = "") -> tuple[str, str]:
    """Return subject and text of a question; `about` is the name of a file, or of a subject."""
    thing = harmless(about, SHORT)
    first = harmless(colleague, SHORT).split(" ")[0] or "Hello"
    subject = f"A question about {thing}" if thing else "A question about your data"
    asks = f"I am looking at {thing}, and you know it best." if thing else "I am looking at data that you know best."
    return subject, f"Hi {first},\n\n{asks} May I ask you about it?\n\n{harmless(viewer, SHORT)}\n"


def mail_link(address: str, subject: str, text: str) -> str:
    """Return a link that opens a draft in the mail program."""
    return f"mailto:{quote(address, safe='@')}?{urlencode({'subject': subject, 'body': text}, quote_via=quote)}"


def chat_link(address: str, text: str) -> str:
    """Return a link that opens a draft in Teams."""
    return "https://teams.microsoft.com/l/chat/0/0?" + urlencode({"users": address, "message": text}, quote_via=quote)


def ask_button(viewer: Viewer, colleague: Colleague, login: str, about: str = "", key: str = "") -> None:
    """Show a button with a draft for this colleague, and one to note down that they were asked."""
    if colleague.person_id == viewer.asker.person_id:
        return
    subject, text = draft(colleague.name, viewer.name, about)
    with st.popover("Ask", icon=":material/forum:", key=f"ask {key} {colleague.person_id}"):
        text = st.text_area("Your question", text, key=f"text {key} {colleague.person_id}", height=170)
        if "@" in login:
            with st.container(horizontal=True):
                st.link_button("Write a mail", mail_link(login, subject, text), icon=":material/mail:", type="primary")
                st.link_button("Chat in Teams", chat_link(login, text), icon=":material/chat:")
        else:
            st.caption("No address is known for them. Their login is")
            st.code(login or "not known", language=None)
        if viewer.known and st.button(
            "Note that I asked",
            key=f"noted {key} {colleague.person_id}",
            type="tertiary",
            icon=":material/check:",
            help="Colleagues who are asked often, or seldom answer, are suggested less. Nobody is shown these figures.",
        ):
            _note(viewer, colleague)


def _note(viewer: Viewer, colleague: Colleague) -> None:
    try:
        viewer.enter(record_ask, colleague)
        st.toast("Noted. Tell what came of it in My data.", icon=":material/check:")
    except DataPlatformError as error:
        st.text(str(error))
