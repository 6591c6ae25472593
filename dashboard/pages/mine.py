"""My data: who uses my files, what I am asked, recalls, what I keep, my choices, and everything stored about me."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard.catalogue import catalogue
from dashboard.display import plain
from dashboard.identity import Viewer, require
from dashboard.navigation import link
from dashboard.parts import attempt, failed, many, tables
from dashboard.parts.kept import kept
from dashboard.parts.survey import survey
from dashboard.parts.told import choices, export, questions
from data_platform.errors import DataPlatformError
from populate.recall.looking import Recalled, recalls_of
from populate.recall.making import acknowledge
from populate.who.own import receipts

PARTS = {
    "receipts": ":material/receipt_long: Receipts",
    "questions": ":material/help: Questions",
    "recalls": ":material/undo: Recalls",
    "kept": ":material/bookmarks: Kept",
    "choices": ":material/tune: Choices",
    "export": ":material/download: Export",
}


def show() -> None:
    """The page from top to bottom."""
    try:
        viewer = require()
        st.title("My data")
        if not viewer.known:
            _unknown()
            return
        survey(viewer)
        part = _part()
        {
            "receipts": _receipts,
            "questions": questions,
            "recalls": _recalls,
            "kept": kept,
            "choices": choices,
            "export": export,
        }[part](viewer)
    except DataPlatformError as error:
        catalogue.clear()
        failed("This cannot be shown.", error)


def _unknown() -> None:
    st.info("The catalogue does not know you yet. Read a file, and you are here a moment later:")
    st.code("data-platform read PATH_OR_LINK\ndata-platform worker --once", language="shell")


def _part() -> str:
    asked = st.query_params.get("part", "receipts")
    part = st.segmented_control(
        "Part",
        list(PARTS),
        format_func=PARTS.__getitem__,
        default=asked if asked in PARTS else "receipts",
        label_visibility="collapsed",
        key="part of mine",
    )
    part = part or "receipts"
    if part != asked:
        st.query_params["part"] = part
    return part


def _receipts(viewer: Viewer) -> None:
    uses = viewer.ask(receipts)
    if not uses:
        st.info("Nobody has read a file of yours yet. Share a link, and here is who uses it.", icon=":material/inbox:")
        return
    frame = pd.DataFrame(uses)
    frame["person"] = frame["reader"].replace("", "somebody who is not named")
    files, people = frame["file_id"].nunique(), frame["person"].nunique()
    departments, analyses = (frame.loc[frame[name] != "", name].nunique() for name in ("department", "analysis"))
    st.text(
        f"{many(people, 'colleague')} in {many(departments, 'department')} used {many(files, 'file')} of yours, "
        f"in {many(analyses, 'analysis', 'analyses')}."
    )
    shown = frame[["name", "person", "department", "analysis", "reads", "last_on", "file_id"]]
    columns = {
        "name": st.column_config.TextColumn("File", width="medium"),
        "person": "Used by",
        "department": "Department",
        "analysis": st.column_config.TextColumn("With", help="Script or program"),
        "reads": st.column_config.NumberColumn("Reads", width="small"),
        "last_on": st.column_config.DateColumn("Last", format=tables.DAY),
    }
    tables.show(shown, "receipts", columns, choose=_open)


def _open(row: pd.Series) -> None:
    link(str(row["name"]), "file", "open_in_new", id=str(row["file_id"]), part="readers")


def _recalls(viewer: Viewer) -> None:
    found = [one for one in viewer.ask(recalls_of) if one.ended_at is None]
    if not found:
        st.info("Nothing that you used was recalled.", icon=":material/check_circle:")
        return
    for one in found:
        _recall(viewer, one)


def _recall(viewer: Viewer, one: Recalled) -> None:
    with st.container(border=True, gap="xsmall"):
        name = (one.file or one.met or "a file").rpartition("/")[2]
        if one.file_id and one.file:
            link(name, "file", "undo", id=one.file_id, part="versions")
        else:
            st.text(name)
        st.text(one.reason)
        st.caption(
            plain(f"Recalled on {one.recalled_at:%d %B %Y}{f' by {one.owner}' if one.owner else ''}. {_how(one)}")
        )
        if one.right:
            st.caption("Use this version instead:")
            st.code(f"data-platform restore {one.right[:16]}", language="shell")
        if one.mine:
            st.caption(f"{one.acknowledged:,} of {many(one.told, 'person', 'people')} have taken note.")
        elif one.acknowledged_at:
            st.caption(f":material/check: You took note on {one.acknowledged_at:%d %B %Y}.")
        else:
            st.button(
                "I have taken note",
                key=f"note {one.recall_id}",
                type="primary",
                icon=":material/check:",
                on_click=lambda: _acknowledge(viewer, one.recall_id),
            )


def _how(one: Recalled) -> str:
    return {
        "read": "You read these bytes.",
        "holds": "You hold a copy.",
        "wrote": "A result of yours was made of it.",
        "result": "You read a result that was made of it.",
    }.get(one.concern, "")


def _acknowledge(viewer: Viewer, recall_id: str) -> None:
    attempt(lambda: viewer.enter(acknowledge, recall_id))


show()
