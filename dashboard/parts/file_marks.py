"""What one notes about a file: following it, tags, notes, collections."""

from __future__ import annotations

import streamlit as st

from dashboard.display import plain
from dashboard.identity import Viewer
from dashboard.navigation import link
from dashboard.parts import attempt
from populate.notes.collected import collections_of, make_collection, put_into
from populate.notes.subscriptions import follow, subscriptions_of, unfollow
from populate.notes.tags import add_tag, remove_tag, tags_of
from populate.notes.texts import add_note, notes_of
from populate.page.shape import FilePage

NEW = "a new collection …"


def marks(viewer: Viewer, page: FilePage) -> None:
    """Show them, with what it takes to change them."""
    if viewer.known:
        with st.container(horizontal=True, gap="small"):
            _following(viewer, page)
            _collecting(viewer, page)
    _tags(viewer, page)
    _notes(viewer, page)


def _following(viewer: Viewer, page: FilePage) -> None:
    follows = any(one.file_id == page.file_id for one in viewer.ask(subscriptions_of))

    def change() -> None:
        attempt(lambda: viewer.enter(unfollow if follows else follow, page.file_id))

    st.button(
        "Following" if follows else "Follow",
        icon=":material/notifications_active:" if follows else ":material/notifications:",
        help="You are told by mail of each new version." if not follows else "Click to be told no more.",
        on_click=change,
        type="primary" if follows else "secondary",
    )


def _collecting(viewer: Viewer, page: FilePage) -> None:
    mine = [one for one in viewer.ask(collections_of) if one.mine]
    with st.popover("Collect", icon=":material/library_add:"), st.form("collect", border=False):
        chosen = st.selectbox("Into", [NEW, *(one.name for one in mine)], index=min(1, len(mine)))
        name = st.text_input("Name of a new one")
        shared = st.checkbox("Colleagues may see it, each the files that they may know")
        if st.form_submit_button("Put it in"):
            attempt(lambda: _put(viewer, page, "" if chosen == NEW else chosen, name, shared))


def _put(viewer: Viewer, page: FilePage, chosen: str, name: str, shared: bool) -> None:
    ids = {one.name: one.collection_id for one in viewer.ask(collections_of) if one.mine}
    collection = ids.get(chosen) or viewer.enter(make_collection, name, shared=shared)
    viewer.enter(put_into, collection, page.file_id)
    st.toast("It is in your collection; see My data.", icon=":material/library_add_check:")


def _tags(viewer: Viewer, page: FilePage) -> None:
    st.subheader("Tags")
    tags = list(dict.fromkeys(one.tag for one in viewer.ask(tags_of, [page.file_id])))
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
        for tag in tags:
            link(f"#{tag}", "search", q=tag)
        if viewer.known:
            with st.popover("Tag", icon=":material/sell:", type="tertiary"):
                _change_tags(viewer, page, tags)
    if not tags and not viewer.known:
        st.caption("None yet.")


def _change_tags(viewer: Viewer, page: FilePage, tags: list[str]) -> None:
    with st.form("tag", border=False, clear_on_submit=True):
        tag = st.text_input("Tag", placeholder="say trial-7")
        if st.form_submit_button("Add") and attempt(lambda: viewer.enter(add_tag, page.file_id, tag)):
            st.rerun()
    for one in tags:
        label = plain(f"Remove {one}")
        st.button(
            label,
            key=label,
            type="tertiary",
            icon=":material/close:",
            on_click=_untag,
            args=(viewer, page.file_id, one),
        )


def _untag(viewer: Viewer, file_id: str, tag: str) -> None:
    attempt(lambda: viewer.enter(remove_tag, file_id, tag, steward=viewer.may("steward")))


def _notes(viewer: Viewer, page: FilePage) -> None:
    notes = viewer.ask(notes_of, [page.file_id])
    may = viewer.known and (page.owned or viewer.may("steward"))
    if not (notes or may):
        return
    st.subheader("Notes")
    for note in notes:
        with st.container(border=True, gap="xxsmall"):
            st.text(note.text)
            st.caption(plain(f"{note.by or 'somebody'}, {note.said_as}, {note.at:%d %b %Y}"))
    if may:
        with st.popover("Write a note", icon=":material/edit_note:"), st.form("note", border=False):
            text = st.text_area("For everybody who may know the file", max_chars=2000)
            steward = viewer.may("steward")
            if st.form_submit_button("Add") and attempt(
                lambda: viewer.enter(add_note, page.file_id, text, steward=steward)
            ):
                st.rerun()
