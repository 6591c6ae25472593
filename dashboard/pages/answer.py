"""One question about copies of a file, reached by the link in a mail. Only a click on a button records anything."""

from __future__ import annotations

import streamlit as st

from dashboard.catalogue import Catalogue, catalogue
from data_platform.errors import AnswerRefused, DataPlatformError
from data_platform.redact import redact_text
from data_platform.settings import settings
from populate.conversation.answering import answer, question_of
from populate.conversation.wording import CHOICES, Told, copyable, human


def show() -> None:
    """The page from top to bottom; a link that is not good becomes one sentence."""
    st.set_page_config(page_title="Do you still need your copy?")  # where this page is served alone, nobody else does
    st.title("Do you still need your copy?")
    token = st.query_params.get("token", "")
    if not token:
        st.info("This page is opened by the link in a mail.", icon=":material/mail:")
        return
    try:
        known = catalogue()
        _tell(known.ask(question_of, settings(), token, viewer=_viewer()))
        _choices(known, token)
    except AnswerRefused as error:
        st.warning("This link cannot be used.", icon=":material/link_off:")
        st.text(str(error))
    except DataPlatformError as error:
        catalogue.clear()  # connect anew at the next attempt
        st.error("The question cannot be shown.", icon=":material/error:")
        st.text(redact_text(str(error)))


def _viewer() -> str:
    """Return the address that whoever looks has signed in with, or nothing where there is no sign-in."""
    return str(st.user.get("email", "")) if getattr(st.user, "is_logged_in", False) else ""


def _tell(question: Told) -> None:
    with st.container(border=True):
        st.text(f"{question.person}, this is yours ({human(question.saving)}):")
        st.text(copyable("\n".join(question.mine)))
        st.text("The same bytes are also with" if question.others else "No other file is known to hold the same bytes.")
        if question.others:
            st.text("\n".join(question.others))
    st.caption("Nothing is ever deleted by the data catalogue: only you can remove your file.")
    if question.answered:
        st.info(f"You have answered: {CHOICES[question.answered]}. You may change your mind.", icon=":material/done:")


def _choices(known: Catalogue, token: str) -> None:
    for choice, text in CHOICES.items():
        if st.button(text, key=choice, width="stretch"):
            known.ask(answer, settings(), token, choice, by="link", viewer=_viewer())
            st.success("Noted, thank you. You may close this page.", icon=":material/check:")


show()
