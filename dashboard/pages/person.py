"""People: what somebody produces, uses and knows, with whom they work, and how to reach them."""

from __future__ import annotations

import streamlit as st

from dashboard.catalogue import catalogue
from dashboard.display import plain
from dashboard.identity import Viewer, require
from dashboard.navigation import link
from dashboard.parts import card, failed, many
from dashboard.parts.asking import ask_button
from data_platform.errors import DataPlatformError
from populate.who.asker import Colleague
from populate.who.person import PersonPage, Touched, find_people, person_page
from populate.who.whom import day

SHOWN, COLUMNS = 24, 3  # people of a list


def show() -> None:
    """One person if the address names one, else the directory."""
    try:
        viewer = require()
        if person := st.query_params.get("id", ""):
            _person(viewer, person)
        else:
            _directory(viewer)
    except DataPlatformError as error:
        catalogue.clear()
        failed("This cannot be shown.", error)


def _directory(viewer: Viewer) -> None:
    st.title("People")
    st.caption("Who knows which data. Everybody chooses in My data how far colleagues are pointed to them.")
    text = st.text_input("Find", st.query_params.get("q", ""), placeholder="name, department or title", key="find")
    st.query_params.from_dict({"q": text} if text else {})
    found = viewer.ask(find_people, text, SHOWN + 1)
    if not found:
        st.info("Nobody fits. Use fewer letters, or look for the department.", icon=":material/search_off:")
        if text:
            link("Look for data instead", "search", "search", q=text)
        return
    for row in range(0, len(found[:SHOWN]), COLUMNS):
        for column, colleague in zip(st.columns(COLUMNS), found[row : min(row + COLUMNS, SHOWN)], strict=False):
            with column:
                _entry(colleague)
    if len(found) > SHOWN:
        st.caption(f"These are the first {SHOWN} by name. Type a few letters to find others.")


def _entry(colleague: Colleague) -> None:
    with st.container(border=True, gap="xxsmall", height="stretch"):
        link(colleague.name, "person", "person", id=colleague.person_id)
        st.caption(plain(" · ".join(filter(None, (colleague.title, colleague.department))) or "no department known"))


def _person(viewer: Viewer, person: str) -> None:
    found = viewer.ask(person_page, person)
    if found is None:
        st.title("Nobody here")
        st.info("There is no such person, or they choose not to be shown.", icon=":material/person_off:")
        link("All people", "person", "group")
        return
    _head(viewer, found)
    left, right = st.columns([3, 2], gap="large")
    with left:
        _files("Produces", "Files of theirs that you may know, those that most people use first.", found.produces)
        _files("Uses", "Files of others that you may know, too.", found.uses)
    with right:
        _knows(found)
        _collaborators(found)
    if found.is_empty:
        st.caption("You have nothing in common with them that the catalogue knows of yet.")


def _head(viewer: Viewer, found: PersonPage) -> None:
    colleague = found.colleague
    st.title(plain(colleague.name))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.text(" · ".join(filter(None, (colleague.title, colleague.department, found.login))))
        ask_button(viewer, colleague, found.login, ", ".join(found.topics[:2]) and f"{found.topics[0]} data")
    if found.route:
        st.caption(plain(f"How you reach them: {found.route}."))
    if colleague.person_id == viewer.asker.person_id:
        st.caption("This is you, as others see you as far as they may.")


def _files(title: str, about: str, files: list[Touched]) -> None:
    st.subheader(title)
    if not files:
        st.caption("Nothing that you may know.")
        return
    st.caption(about)
    with card():
        for file in files[:10]:
            link(file.name, "file", "description", id=file.file_id)
            st.caption(plain(" · ".join(filter(None, (_fact(file), file.path)))))
    if len(files) > 10:
        with st.expander(f"{len(files) - 10} more"):
            for file in files[10:]:
                link(file.name, "file", "description", id=file.file_id)


def _fact(file: Touched) -> str:
    if file.last_on:
        return f"last on {day(file.last_on)}"
    return f"used by {many(file.others, 'other')}" if file.others else "used by nobody else yet"


def _knows(found: PersonPage) -> None:
    st.subheader("Knows")
    if found.topics:
        with st.container(horizontal=True, gap="xsmall"):
            for topic in found.topics:
                st.badge(plain(topic), color="primary")
    for script in found.scripts[:6]:
        st.caption(f":material/terminal: {plain(script.name)} · last run {day(script.last_on)}")
    if not (found.topics or found.scripts):
        st.caption("Nothing that can be told from files and scripts that you may know.")


def _collaborators(found: PersonPage) -> None:
    st.subheader("Works with")
    if not found.collaborators:
        st.caption("Nobody who may be named.")
        return
    with card():
        for other in found.collaborators[:8]:
            link(other.name, "person", "person" if other.in_contact else "person_add", id=other.person_id)
            st.caption(plain(" · ".join(filter(None, (other.department, other.reason)))))


show()
