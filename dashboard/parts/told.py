"""What one tells: answers to questions about copies, how far one is pointed to; and what is stored about one."""

from __future__ import annotations

import zipfile
from datetime import timedelta
from io import BytesIO

import pandas as pd
import streamlit as st

from dashboard.catalogue import catalogue
from dashboard.identity import Viewer
from dashboard.navigation import link
from dashboard.parts import attempt, failed, many
from dashboard.parts.exports import csv_of
from dashboard.parts.survey import choice
from data_platform.errors import DataPlatformError
from data_platform.settings import settings
from populate.adoption.survey import record_hours, subscribe, subscribed, unsubscribe
from populate.conversation.answering import answer, question_of
from populate.conversation.links import Link, signing_key, token_of
from populate.conversation.wording import CHOICES, copyable, human
from populate.pipeline import SCHEMAS
from populate.who.asker import Colleague, choose, chosen
from populate.who.asks import RESULTS, record_outcome
from populate.who.own import OwnQuestion, open_asks, questions_to, stored_about

FINDABLE = {
    "open": "**Open** – colleagues are pointed to me by all that fits, also by files that they cannot see. Of those "
    "they are told the title, and to ask me.",
    "known": "**Known** – colleagues are pointed to me by files that they may see themselves.",
    "closed": "**Closed** – nobody is pointed to me.",
}
OUTCOMES = {"answered": "They answered", "redirected": "They named somebody better", "silent": "No answer came"}
LASTING = timedelta(minutes=10)  # of what stands for the link of a mail here


def questions(viewer: Viewer) -> None:
    """Show what one was asked about copies, with the answers to choose among."""
    found = viewer.ask(questions_to)
    if not found:
        st.info("There is no question to you.", icon=":material/check_circle:")
        return
    waiting = [one for one in found if not one.answer]
    st.caption(f"{many(len(waiting), 'question')} to answer, {len(found) - len(waiting)} answered.")
    for one in [*waiting, *(one for one in found if one.answer)][:20]:
        try:
            _question(viewer, one)
        except DataPlatformError as error:
            failed("The questions cannot be shown.", error)
            return


def _question(viewer: Viewer, one: OwnQuestion) -> None:
    until = viewer.asker.now + LASTING
    token = token_of(Link(one.question_id, one.person_id, until), signing_key(settings()))
    asked = catalogue().ask(question_of, settings(), token)
    with st.container(border=True):
        st.text(f"You have {many(len(asked.mine), 'copy', 'copies')} of the same bytes ({human(asked.saving)}):")
        st.code(copyable("\n".join(asked.mine)), language=None)
        if asked.others:
            st.text("Others have them, too:")
            st.text("\n".join(asked.others))
        with st.container(horizontal=True):
            for choice, text in CHOICES.items():
                st.button(
                    text,
                    key=f"{choice} {one.question_id}",
                    type="primary" if choice == one.answer else "secondary",
                    on_click=_answer,
                    args=(token, choice),
                )
        st.caption("Nothing is ever deleted by the data catalogue: only you can remove your file.")


def _answer(token: str, choice: str) -> None:
    if attempt(lambda: catalogue().ask(answer, settings(), token, choice, by="link")):
        st.toast("Noted, thank you.", icon=":material/check:")


def choices(viewer: Viewer) -> None:
    """Show how far one is pointed to, the report, and the asks that one has not told the outcome of."""
    st.subheader("Who is pointed to me")
    now = viewer.ask(chosen)
    picked = st.radio(
        "Who is pointed to me",
        list(FINDABLE),
        index=list(FINDABLE).index(now),
        format_func=FINDABLE.__getitem__,
        label_visibility="collapsed",
    )
    if picked and picked != now and attempt(lambda: viewer.enter(choose, picked)):
        st.toast("From now on it is so.", icon=":material/check:")
    left, right = st.columns(2, gap="large")
    with left:
        _report(viewer)
        _saved(viewer)
    with right:
        _asked(viewer)


def _report(viewer: Viewer) -> None:
    st.subheader("Monthly report")
    gets = viewer.ask(subscribed)
    wants = st.toggle("Send me the report of how data are shared", value=gets)
    if wants != gets:
        attempt(lambda: viewer.enter(subscribe if wants else unsubscribe))


def _saved(viewer: Viewer) -> None:
    st.subheader("Hours saved")
    with st.form("hours", border=False, clear_on_submit=True):
        hours = st.number_input("In the last week, about", -168.0, 168.0, 0.0, 0.5, help="Below 0 if it cost you time.")
        if st.form_submit_button("Tell") and attempt(lambda: viewer.enter(record_hours, hours)):
            st.toast("Thank you. Only sums over many are ever shown.", icon=":material/check:")
    choice(viewer)


def _asked(viewer: Viewer) -> None:
    st.subheader("What came of your asks?")
    waiting = viewer.ask(open_asks)
    if not waiting:
        st.caption("Nothing to tell.")
    for colleague, at in waiting[:10]:
        with st.container(border=True, gap="xsmall"):
            link(colleague.name, "person", "person", id=colleague.person_id)
            st.caption(f"asked on {at:%d %B %Y}")
            with st.container(horizontal=True):
                for result in RESULTS:
                    st.button(
                        OUTCOMES[result],
                        key=f"{result} {colleague.person_id}",
                        type="tertiary",
                        on_click=_outcome,
                        args=(viewer, colleague, result),
                    )


def _outcome(viewer: Viewer, colleague: Colleague, result: str) -> None:
    attempt(lambda: viewer.enter(record_outcome, colleague, result))


def export(viewer: Viewer) -> None:
    """Offer everything that is stored about whoever looks."""
    st.text("Everything that the catalogue stores about you: what you read, own, share, wrote, chose and were asked.")
    st.caption("A table for each kind of row, as CSV in one ZIP. Others who stand in the same rows are not named.")
    st.download_button(
        "Make and download",
        data=lambda: archive(viewer),
        file_name=f"stored-about-me-{viewer.asker.now:%Y-%m-%d}.zip",
        mime="application/zip",
        icon=":material/download:",
        type="primary",
        on_click="ignore",
    )


def archive(viewer: Viewer) -> bytes:
    """Return a ZIP with everything that is stored about whoever looks, a CSV for each table."""
    to = BytesIO()
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, columns, rows in viewer.ask(lambda asker: list(stored_about(asker, SCHEMAS))):
            packed.writestr(f"{name}.csv", csv_of(pd.DataFrame(rows, columns=columns)))
    return to.getvalue()
