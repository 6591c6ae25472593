"""Permission hygiene: files that more people can open than were named, and files of people who left."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import streamlit as st

from dashboard.catalogue import Catalogue
from dashboard.identity import Viewer
from dashboard.parts import many, tables
from dashboard.parts.guard import page
from dashboard.parts.opening import open_file
from dashboard.queries import govern

REACH = {
    "anybody with the link": "Whoever gets hold of such a link can open the file, without signing in.",
    "everybody in the organisation": "Whoever has such a link and works here can open the file.",
    "somebody outside": "A guest, or an address that no directory of ours knows.",
}
LEFT = "of people who left"
LABELS = dict(
    zip((*REACH, LEFT), ("Open to anybody", "Open to all here", "Open to outsiders", "Of who left"), strict=True)
)


def _show(known: Catalogue, viewer: Viewer) -> None:
    reach = known.ask(govern.reach).set_index("reach")
    owners = known.ask(govern.owners_who_left)
    counts = {name: int(reach["files"].get(name, 0)) for name in REACH} | {LEFT: int(owners["files"].sum())}
    st.subheader(_sentence(counts))
    st.space("xsmall")
    for column, (name, told) in zip(
        st.columns(4), (REACH | {LEFT: "Nobody can be asked about them."}).items(), strict=True
    ):
        column.metric(LABELS[name], f"{counts[name]:,}", border=True, help=told)
    first = next((name for name in counts if counts[name]), LEFT)
    view = st.segmented_control(
        "Which", list(counts), default=first, key="which", required=True,
        format_func=lambda name: name[0].upper() + name[1:], label_visibility="collapsed", bind="query-params",
    )  # fmt: skip
    if view == LEFT:
        _left(known, owners)
    else:
        _grants(known.ask(govern.grants, view), view)


def _sentence(counts: dict[str, int]) -> str:
    anybody, left = counts["anybody with the link"], counts[LEFT]
    if not anybody and not left:
        return "No file is open to anybody with a link, and none belongs to somebody who left."
    return f"{many(anybody, 'file')} can be opened by anybody with a link; {left:,} belong to people who left."


def _grants(frame: pd.DataFrame, reach: str) -> None:
    st.caption(REACH[reach])
    if frame.empty:
        tables.nothing("No such grant is known. Grants are known of sources that are followed:",
                       "data-platform doctor", icon="verified_user")  # fmt: skip
        return
    now = pd.Timestamp(datetime.now(UTC).replace(tzinfo=None))
    frame["days"] = (now - pd.to_datetime(frame["granted_since"])).dt.days
    frame["may"] = ["change it" if level in ("write", "owner") else "read it" for level in frame["permission_level"]]
    tables.show(
        frame,
        f"files open to {reach}",
        {
            "file_name": st.column_config.TextColumn("File", width="medium"),
            "owner": "Owner",
            "grantee": "Granted to",
            "may": st.column_config.TextColumn("May", width="small"),
            "days": st.column_config.NumberColumn("For days", help="Since it was granted, or first seen."),
            "granted_since": tables.moment("Since", tables.DAY),
            "file_path": "Path",
        },
        choose=open_file,
    )
    st.caption(
        "Only at the source can a link be closed, by the file's owner. Select a row to open the file and ask them."
    )


def _left(known: Catalogue, owners: pd.DataFrame) -> None:
    if owners.empty:
        tables.nothing("Everybody who left has handed over their files.", icon="verified_user")
        return
    st.caption(
        "Files that most people still read come first: name a new owner at the source before the account is deleted."
    )
    tables.show(
        known.ask(govern.files_of_who_left),
        "files of people who left",
        {
            "file_name": st.column_config.TextColumn("File", width="medium"),
            "owner": "Former owner",
            "left_on": st.column_config.DateColumn("Left on", format=tables.DAY),
            "readers": st.column_config.NumberColumn(
                "Readers lately", help=f"People in the last {govern.LATELY} days."
            ),
            "file_path": "Path",
        },
        choose=open_file,
    )
    with st.expander(f"{many(len(owners), 'person', 'people')} who left with files"):
        columns = {
            "owner": "Name",
            "left_on": st.column_config.DateColumn("Left on", format=tables.DAY),
            "files": "Files",
        }
        tables.show(owners, "people who left", columns)


page(
    "Permission hygiene",
    "Files that more people can open than were named, and files of people who left.",
    "steward",
    _show,
)
