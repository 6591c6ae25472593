"""One file: what is in it, its versions, who uses it, its copies, where it comes from, and whom to ask."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard.catalogue import catalogue
from dashboard.display import human_bytes, plain
from dashboard.identity import Viewer, require
from dashboard.navigation import link
from dashboard.parts import card, failed, kind_icon, many, tables
from dashboard.parts.asking import ask_button
from dashboard.parts.file_contents import contents, versions
from dashboard.parts.file_marks import marks
from data_platform.errors import DataPlatformError, VersionUnavailable
from data_platform.settings import settings
from populate.page.page import file_page
from populate.page.shape import FilePage
from populate.provenance.drawing import svg
from populate.provenance.walk import follow
from populate.recall.looking import recalls_of
from populate.who.asker import Colleague

TABS = {
    "overview": ":material/preview: Overview",
    "versions": ":material/history: Versions",
    "readers": ":material/visibility: Readers",
    "copies": ":material/content_copy: Copies",
    "origin": ":material/account_tree: Origin",
    "ask": ":material/forum: Whom to ask",
}


def show() -> None:
    """The page from top to bottom."""
    try:
        viewer = require()
        file_id = st.query_params.get("id", "")
        page = viewer.ask(file_page, file_id) if file_id else None
        if page is None:
            _unknown()
        else:
            _file(viewer, page)
    except DataPlatformError as error:
        catalogue.clear()
        failed("The file cannot be shown.", error)


def _unknown() -> None:
    st.title("No such file")
    st.info("There is no such file, or you may not know it.", icon=":material/question_mark:")
    link("Search", "search", "search")


def _file(viewer: Viewer, page: FilePage) -> None:
    st.title(plain(page.name))
    _line(page)
    if page.limited:
        st.info("You cannot open this file. Its owner lets colleagues know that it is there.", icon=":material/lock:")
        _ask(viewer, page)
        return
    _warnings(viewer, page)
    part = _part()
    if part == "overview":
        _overview(viewer, page)
    elif part == "versions":
        versions(viewer, page)
    elif part == "readers":
        _readers(page)
    elif part == "copies":
        _copies(page)
    elif part == "origin":
        _origin(viewer, page)
    else:
        _ask(viewer, page)


def _part() -> str:
    """Return which part is shown; it is in the address, and the others are not asked for."""
    asked = st.query_params.get("part", "overview")
    part = st.segmented_control(
        "Part",
        list(TABS),
        format_func=TABS.__getitem__,
        default=asked if asked in TABS else "overview",
        label_visibility="collapsed",
        key=f"part {st.query_params.get('id', '')}",
    )
    part = part or "overview"
    if part != asked:
        st.query_params["part"] = part
    return part


def _line(page: FilePage) -> None:
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
        if page.kind:
            st.badge(plain(page.kind), icon=f":material/{kind_icon(page.kind)}:", color="primary")
        if page.versions:
            st.badge(many(len(page.versions), "version"), icon=":material/history:", color="gray")
            st.badge(human_bytes(page.versions[0].size), color="gray")
        if page.gone_on:
            st.badge(f"gone from its source since {page.gone_on:%d %b %Y}", icon=":material/delete:", color="orange")
        if page.owner:
            link(page.owner.name, "person", "person", id=page.owner.person_id)
    st.caption(plain(" · ".join(filter(None, (page.source_system, page.path)))))


def _warnings(viewer: Viewer, page: FilePage) -> None:
    for recalled in viewer.ask(recalls_of):
        if recalled.file_id == page.file_id and recalled.ended_at is None:
            st.warning(f"Recalled on {recalled.recalled_at:%d %B %Y}: {plain(recalled.reason)}", icon=":material/undo:")


def _overview(viewer: Viewer, page: FilePage) -> None:
    left, right = st.columns([5, 2], gap="large")
    with left:
        if page.kind == "folder":
            _members(page)
        else:
            contents(page.profile)
    with right:
        if page.receipts:
            st.text(page.receipts.sentence())
        marks(viewer, page)
        if page.grants:
            _grants(page)
        if page.file_sets:
            st.subheader("In folders")
            for each in page.file_sets[:8]:
                link(each.name, "file", "folder", id=each.file_id)


def _members(page: FilePage) -> None:
    st.caption(f"{many(len(page.members), 'file')} of this folder that you may know")
    with card():
        for each in page.members[:40]:
            link(each.member_path or each.name, "file", kind_icon(each.name.rpartition(".")[2]), id=each.file_id)


def _grants(page: FilePage) -> None:
    st.subheader("May open it" if page.owned else "Your access")
    for grant in page.grants[:12]:
        until = f" until {grant.until:%d %b %Y}" if grant.until else ""
        who = f"{grant.scope or 'a'} link" if grant.kind == "link" else grant.grantee
        st.caption(f":material/key: {plain(who)} · {plain(grant.level)}{until}")


def _readers(page: FilePage) -> None:
    if page.receipts is None:
        names = list(dict.fromkeys(name for version in page.versions for name in version.readers))
        st.caption("How often, and by which analyses, is told to the file's owner.")
        if names:
            st.dataframe(pd.DataFrame({"Read by": names}), hide_index=True, alt="readers")
        else:
            st.info("Nobody who may be named has read it.", icon=":material/visibility_off:")
        return
    st.text(page.receipts.sentence())
    if page.receipts.people:
        rows = [(one.name, one.department, one.reads, one.last_read) for one in page.receipts.people]
        frame = pd.DataFrame(rows, columns=["Reader", "Department", "Reads", "Last read"])
        columns = {"Reader": "Reader", "Department": "Department", "Reads": "Reads"}
        tables.show(frame, "readers", {**columns, "Last read": tables.moment("Last read")})


def _copies(page: FilePage) -> None:
    if not page.copies:
        st.info("No other file that you may know holds the same bytes.", icon=":material/check_circle:")
        return
    st.caption("Files that hold, or held, the bytes of one of its versions.")
    newest = page.versions[0].sha256 if page.versions else ""
    with card():
        for copy in page.copies:
            link(copy.name, "file", "content_copy", id=copy.file_id)
            same = "the same bytes as now" if copy.sha256 == newest else "the bytes of an earlier version"
            st.caption(plain(" · ".join(filter(None, (same, copy.owner, copy.path)))))


def _origin(viewer: Viewer, page: FilePage) -> None:
    if not page.versions:
        st.info("Nothing has been read yet, so nothing is known of it.", icon=":material/account_tree:")
        return
    ways = {"whence": "Where it comes from", "whither": "What became of it"}
    way = st.segmented_control(
        "Direction", list(ways), format_func=ways.__getitem__, default="whence", label_visibility="collapsed"
    )
    way = way or "whence"
    sha256 = page.versions[0].sha256
    try:
        found = viewer.ask(follow, sha256, settings(), depth=6, back=way == "whence")
    except VersionUnavailable:
        st.info("Nothing is known of the bytes of now.", icon=":material/account_tree:")
        return
    if len(found.nodes) < 2:
        _no_steps(way)
        return
    st.image(svg(found), width="stretch", alt=f"{ways[way]}: {many(len(found.nodes), 'step')}")
    if found.cut:
        st.caption("There is more than is drawn here.")
    st.download_button("SVG", svg(found), f"{page.name}-{way}.svg", "image/svg+xml", icon=":material/download:")


def _no_steps(way: str) -> None:
    if way == "whence":
        st.info("No run is known to have made it. Scripts tell by one line:", icon=":material/account_tree:")
        st.code('from data_platform import log_output\nlog_output("result.csv")', language="python")
    else:
        st.info("Nobody has read it yet, so nothing became of it.", icon=":material/account_tree:")


def _ask(viewer: Viewer, page: FilePage) -> None:
    if not page.whom_to_ask:
        st.info("Nobody who may be named knows it. Ask your data steward.", icon=":material/person_off:")
        return
    for one in page.whom_to_ask:
        with st.container(border=True, gap="xxsmall"):
            with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
                link(one.name, "person", "person", id=one.person_id)
                ask_button(viewer, Colleague(one.person_id, one.name, one.department, ""), one.login, page.name, "file")
            st.caption(plain(" · ".join(filter(None, (one.department, one.reason)))))
            if one.route:
                st.caption(f":material/route: {plain(one.route)}")


show()
