"""What one keeps: collections, searches, and files that one follows."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from dashboard.display import plain
from dashboard.identity import Viewer
from dashboard.navigation import go, link
from dashboard.parts import attempt, card, many
from populate.notes.collected import CollectionView, collections_of, end_collection, take_out
from populate.notes.searches import forget_search, saved_searches
from populate.notes.subscriptions import subscriptions_of, unfollow


def kept(viewer: Viewer) -> None:
    """Show all that is kept, each with a way to end it."""
    left, right = st.columns(2, gap="large")
    with left:
        _collections(viewer)
    with right:
        _following(viewer)
        _searches(viewer)


def _collections(viewer: Viewer) -> None:
    st.subheader("Collections")
    found = viewer.ask(collections_of)
    if not found:
        st.caption("None yet. On the page of a file, Collect puts it into one.")
    for one in found:
        whose = "yours" if one.mine else f"of {one.keeper}" if one.keeper else "of a colleague"
        with st.expander(
            plain(f"{one.name} · {many(len(one.files), 'file')} · {whose}"), icon=":material/folder_special:"
        ):
            _collection(viewer, one)


def _collection(viewer: Viewer, one: CollectionView) -> None:
    if one.about:
        st.text(one.about)
    for file in one.files:
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            link(file.name, "file", "description", id=file.file_id)
            if one.mine:
                _ending(f"out {one.collection_id} {file.file_id}", viewer, take_out, one.collection_id, file.file_id)
    if one.mine:
        key = f"end {one.collection_id}"
        _ending(key, viewer, end_collection, one.collection_id, label="End this collection")


def _following(viewer: Viewer) -> None:
    st.subheader("Following")
    found = viewer.ask(subscriptions_of)
    if not found:
        st.caption("Nothing yet. On the page of a file, Follow has you told of new versions.")
        return
    with card():
        for one in found:
            with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
                link(one.name, "file", "notifications", id=one.file_id)
                _ending(f"unfollow {one.file_id} {one.hook_url}", viewer, unfollow, one.file_id, one.hook_url)
            told = f"told of {many(one.told, 'version')}" if one.told else "no new version since"
            st.caption(plain(f"by {one.way} since {one.since:%d %b %Y} · {one.failure or told}"))


def _searches(viewer: Viewer) -> None:
    st.subheader("Searches")
    found = viewer.ask(saved_searches)
    if not found:
        st.caption("None yet. Search for something, and Save keeps what you asked.")
    for one in found:
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            if st.button(
                plain(one.name), key=f"search {one.saved_search_id}", icon=":material/search:", type="tertiary"
            ):
                go("search", q=one.text, **one.facets)
            _ending(f"forget {one.saved_search_id}", viewer, forget_search, one.name)


def _ending(key: str, viewer: Viewer, act: Callable[..., object], *about: str, label: str = "") -> None:
    st.button(
        label,
        key=key,
        type="tertiary",
        icon=":material/close:",
        help="Take it away",
        on_click=_end,
        args=(viewer, act, *about),
    )


def _end(viewer: Viewer, act: Callable[..., object], *about: str) -> None:
    attempt(lambda: viewer.enter(act, *about))
