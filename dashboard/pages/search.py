"""Search: the first page. Files that one may know, each with the reason why it is here."""

from __future__ import annotations

import time
from collections.abc import Mapping

import streamlit as st

from dashboard.catalogue import catalogue
from dashboard.display import plain
from dashboard.identity import Viewer, require
from dashboard.navigation import link
from dashboard.parts import attempt, failed, kind_icon, many
from data_platform.errors import DataPlatformError
from populate.notes.searches import save_search, saved_searches
from populate.search.searching import Hit, Results, prepare, prepared, search
from populate.who.whom import about_text, day

STEP = 15  # hits of a page
PAUSE, STANDSTILL = 0.1, 10.0  # seconds
MOST_VALUES = 12  # of a facet
FACETS = {
    "kind": ("Kind", "category"),
    "department": ("Department", "apartment"),
    "owner": ("Owner", "person"),
    "source": ("Source", "cloud"),
    "month": ("Last read", "event"),
}


def show() -> None:
    """The page from top to bottom."""
    try:
        _search(require())
    except DataPlatformError as error:
        catalogue.clear()
        failed("The search does not answer.", error)


def _search(viewer: Viewer) -> None:
    st.title("Find data")
    text = _question()
    chosen = {name: st.query_params.get_all(name) for name in FACETS if name in st.query_params}
    limit = STEP * _pages()
    _prepare(viewer)
    with st.spinner("Searching …", show_time=False):
        found = viewer.ask(search, text, facets=chosen, limit=limit)
    _facets(found, chosen)
    if text and found.meant < 1:
        st.caption(
            ":material/hourglass_top: What files mean is still being computed on this machine: "
            f"{found.meant:.0%} of all so far. Search again later to find more by it."
        )
    if not found.hits:
        _nothing(viewer, text, chosen)
        return
    _count(viewer, found, text, chosen)
    for hit in found.hits:
        _hit(hit)
    if found.total > len(found.hits):
        st.button("Show more", on_click=_address, kwargs={"n": str(_pages() + 1)}, icon=":material/expand_more:")


def _prepare(viewer: Viewer) -> None:
    """Have the index made at the first time, in short turns: others use the connection, too.

    One on the server is made by a service; whoever waits for that is told how far it is, and where it stands still
    the search says what to do.
    """
    if viewer.ask(prepare):
        return
    with st.spinner("Making the search index, once …", show_time=True):
        turn, most, since = st.empty(), -1.0, time.monotonic()
        while not viewer.ask(prepare) and time.monotonic() - since < STANDSTILL:
            if (made := viewer.ask(prepared)) > most:
                most, since = made, time.monotonic()
            turn.caption(f"{made:.0%} so far")  # whoever has left the page ends here
            time.sleep(PAUSE)
        turn.empty()


def _question() -> str:
    # Whoever comes by another link sees what that asks, not what was typed before.
    asked = st.query_params.get("q", "")
    if st.session_state.get("asked") != asked:
        st.session_state["question"] = st.session_state["asked"] = asked
    st.text_input(
        "What are you looking for?",
        key="question",
        placeholder="names, people, departments, columns, tags …",
        icon=":material/search:",
        label_visibility="collapsed",
        on_change=_asked,
    )
    return asked


def _asked() -> None:
    text = st.session_state["question"].strip()
    st.session_state["asked"] = text
    _address(q=text, n="")


def _address(**changes: str | list[str]) -> None:
    """Put what is asked into the address, so that it can be passed on."""
    values = {name: st.query_params.get_all(name) for name in st.query_params}
    values |= {name: [value] if isinstance(value, str) else value for name, value in changes.items()}
    st.query_params.from_dict({name: value for name, value in values.items() if any(value)})


def _pages() -> int:
    number = st.query_params.get("n", "1")
    return max(1, min(40, int(number))) if number.isdecimal() and len(number) < 4 else 1


def _facets(found: Results, chosen: Mapping[str, list[str]]) -> None:
    with st.container(horizontal=True, gap="small"):
        for name, (title, icon) in FACETS.items():
            counts = dict(found.facets.get(name, []))
            values = list(dict.fromkeys([*chosen.get(name, []), *list(counts)[:MOST_VALUES]]))
            if len(values) > 1 or chosen.get(name):
                label = f"{title}: {', '.join(map(_shortened, chosen[name]))}" if chosen.get(name) else title
                with st.popover(plain(label), icon=f":material/{icon}:"):
                    told = {value: found.counted(counts.get(value, 0)) for value in values}
                    labels = {value: plain(f"{value} ({count})" if count else value) for value, count in told.items()}
                    _values(name, title, labels, chosen.get(name, []))
        if chosen:
            st.button(
                "Clear", type="tertiary", icon=":material/close:", on_click=_address, kwargs=dict.fromkeys(chosen, "")
            )


def _values(name: str, title: str, labels: Mapping[str, str], chosen: list[str]) -> None:
    key = f"facet {name} {' '.join(chosen)} {st.query_params.get('q', '')}"

    def choose() -> None:
        _address(**{name: [*map(str, st.session_state[key])]}, n="")

    st.pills(
        title,
        list(labels),
        selection_mode="multi",
        default=chosen,
        format_func=lambda value: labels[value],
        key=key,
        on_change=choose,
    )


def _shortened(text: str) -> str:
    return text if len(text) <= 18 else f"{text[:17]}…"


def _count(viewer: Viewer, found: Results, text: str, chosen: Mapping[str, list[str]]) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        what = f"{found.many[0].upper()}{found.many[1:]} that you may know"
        if found.by_meaning:
            what += f", {found.by_meaning:,} of them by what they mean alone"
        st.caption(what if text or chosen else f"{what}, most used first")
        if found.suggestion and found.suggestion != text:
            label = plain(f"Did you mean {found.suggestion}?")
            st.button(label, type="tertiary", on_click=_address, kwargs={"q": found.suggestion, "n": ""})
        if viewer.known and (text or chosen):
            _keep(viewer, text, chosen)
    if not (text or chosen) and viewer.known:
        _kept(viewer)


def _keep(viewer: Viewer, text: str, chosen: Mapping[str, list[str]]) -> None:
    with st.popover("Save", icon=":material/bookmark:", type="tertiary"), st.form("save search", border=False):
        name = st.text_input("Name of this search", text[:60])
        if st.form_submit_button("Save") and attempt(lambda: viewer.enter(save_search, name, text, chosen)):
            st.toast("Saved. You find it on the first page.", icon=":material/bookmark:")


def _kept(viewer: Viewer) -> None:
    kept = viewer.ask(saved_searches)
    if kept:
        with st.container(horizontal=True, gap="small"):
            for one in kept[:8]:
                st.button(
                    plain(one.name),
                    key=f"kept {one.saved_search_id}",
                    icon=":material/bookmark:",
                    on_click=_address,
                    kwargs={"q": one.text, **one.facets},
                )


def _nothing(viewer: Viewer, text: str, chosen: Mapping[str, list[str]]) -> None:
    if chosen:
        st.info("No file fits with these filters. Clear some of them.", icon=":material/filter_alt_off:")
    elif text:
        st.info("No file that you may know fits. Use other words, or fewer.", icon=":material/search_off:")
        _whom(viewer, text)
    elif not viewer.known:
        st.info(
            "The catalogue does not know you yet: it learns who you are when you read a file for the first time.",
            icon=":material/waving_hand:",
        )
        st.code("data-platform read PATH_OR_LINK", language="shell")
    else:
        st.info("There is no file yet that you may know. Read one, and it is here a moment later:")
        st.code("data-platform read PATH_OR_LINK\ndata-platform worker --once", language="shell")


def _whom(viewer: Viewer, text: str) -> None:
    people = viewer.ask(about_text, text, 3)
    if people:
        st.caption("Or ask whoever may know:")
        for one in people:
            link(one.name, "person", "person", id=one.person_id)
            st.caption(plain(" · ".join(filter(None, (one.department, one.reason)))))
    else:
        link("Look among people", "person", "group", q=text)


def _hit(hit: Hit) -> None:
    with st.container(border=True, gap="xxsmall"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            link(hit.name, "file", kind_icon(hit.kind), id=hit.file_id)
            with st.container(horizontal=True, gap="xsmall", width="content"):
                if hit.limited:
                    st.badge("ask for it", icon=":material/lock:", color="orange")
                if hit.similarity:
                    st.badge(f"alike in meaning {hit.similarity:.2f}", icon=":material/compare_arrows:", color="violet")
                if hit.readers:
                    st.badge(many(hit.readers, "reader"), icon=":material/visibility:", color="gray")
                if hit.kind:
                    st.badge(plain(hit.kind), color="primary")
        st.text(_line(hit))
        if hit.path:
            st.caption(plain(hit.path))
        if hit.reasons:
            st.caption(f":material/lightbulb: {plain(' · '.join(hit.reasons))}")


def _line(hit: Hit) -> str:
    owner = f"{hit.owner}, {hit.department}" if hit.owner and hit.department else hit.owner or hit.department
    read = f"last read {day(hit.last_read)}" if hit.last_read else ""
    return " · ".join(filter(None, (owner, read)))


show()
