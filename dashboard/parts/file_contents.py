"""What the page of a file shows in its parts: what is in it, its versions, and what differs between two."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable
from functools import partial
from threading import BoundedSemaphore

import pandas as pd
import streamlit as st

from dashboard.display import human_bytes, plain
from dashboard.identity import Viewer
from dashboard.parts import attempt, many, tables
from data_platform.errors import VersionUnavailable
from data_platform.settings import settings
from populate.backup.tables import ContentStore, Placement
from populate.page.difference import comparison
from populate.page.page import file_page
from populate.page.reply import Difference, OpaqueDifference, SheetDifference, TableDifference, TextDifference
from populate.page.shape import FilePage, VersionRow
from populate.profile.view import ProfileView, SheetView
from populate.store import Place, open_store
from populate.who.asker import Asker
from schemas.restrict import where

LARGEST = 200_000_000  # bytes that a browser is handed
_COMPARING = BoundedSemaphore(2)  # differences that are looked for at a time, whoever asks
KINDS = {
    "integer": "whole number",
    "number": "number",
    "truth": "yes or no",
    "date": "date",
    "time": "time",
    "text": "text",
    "empty": "empty",
}


def contents(profile: ProfileView | None) -> None:
    """Show what the newest version holds: its columns and first rows."""
    if profile is None:
        st.caption("Its contents have not been looked into yet. The worker does that after the backup.")
        return
    if not profile.sheets:
        reason = profile.reason or "This format is kept and compared by its bytes, and not opened."
        st.caption(plain(reason[:1].upper() + reason[1:]))
        return
    if len(profile.sheets) > 1:
        tabs = st.tabs([plain(sheet.name or "sheet") for sheet in profile.sheets])
        for number, (tab, sheet) in enumerate(zip(tabs, profile.sheets, strict=True), start=1):
            with tab:
                _sheet(sheet, f" of sheet {number}")
    else:
        _sheet(profile.sheets[0])


def _sheet(sheet: SheetView, of: str = "") -> None:
    if not sheet.width:
        st.caption(many(sheet.rows, "line"))
        st.code("\n".join(" ".join(row) for row in sheet.first), language=None)
        return
    looked = f", of which the first {sheet.looked_at:,} were looked at" if sheet.looked_at < sheet.rows else ""
    st.caption(f"{many(sheet.rows, 'row')}, {many(sheet.width, 'column')}{looked}")
    st.dataframe(first_rows(sheet), hide_index=True, width="stretch", key=f"first rows{of}")
    if not sheet.columns:
        return
    about = pd.DataFrame(
        {
            "Column": _names(sheet),
            "Type": [KINDS.get(column.kind, column.kind) for column in sheet.columns],
            "Missing": [column.missing / max(1, sheet.looked_at) for column in sheet.columns],
            "Different": [column.distinct for column in sheet.columns],
            "Values": [_values(column.least, column.greatest, column.values) for column in sheet.columns],
        }
    )
    tables.show(
        about,
        f"columns{of}",
        {
            "Column": st.column_config.TextColumn(width="small"),
            "Type": st.column_config.TextColumn(width="small"),
            "Values": st.column_config.TextColumn(width="medium"),
            "Different": st.column_config.NumberColumn("Different", width="small", help="empty = more than a thousand"),
            "Missing": tables.share("Missing", width="small"),
        },
        rows=20,
    )


def first_rows(sheet: SheetView) -> pd.DataFrame:
    """Return the first rows under the names of their columns; those that nothing is told of are numbered."""
    width = max((len(row) for row in sheet.first), default=0)
    rows = [(*row, *[""] * (width - len(row))) for row in sheet.first]
    return pd.DataFrame(rows, columns=_names(sheet, width)[:width])


def _names(sheet: SheetView, width: int = 0) -> list[str]:
    told = [column.name or f"column {number}" for number, column in enumerate(sheet.columns, start=1)]
    return _different([*told, *(f"column {number}" for number in range(len(told) + 1, width + 1))])


def _different(names: Iterable[str]) -> list[str]:
    """Return names of columns, told apart: a frame shows none twice."""
    met: Counter[str] = Counter()
    found: dict[str, None] = {}
    for name in names:
        called = name
        while called in found:  # a column may be called ``x (2)`` itself
            met[name] += 1
            called = f"{name} ({met[name] + 1})"
        found[called] = None
    return list(found)


def _values(least: str, greatest: str, values: Iterable[tuple[str, int]]) -> str:
    if shown := [f"{value} ({count:,})" for value, count in values]:
        return ", ".join(shown)
    return f"{least} … {greatest}" if least or greatest else ""


def versions(viewer: Viewer, page: FilePage) -> None:
    """Show the versions; one that is selected can be had back."""
    if not page.versions:
        st.info("No version of it has been read yet, so none is kept.", icon=":material/history:")
        return
    frame = pd.DataFrame(
        {
            "Version": [_name(page, version) for version in page.versions],
            "Made": [version.modified for version in page.versions],
            "By": [version.author for version in page.versions],
            "Size": [version.size for version in page.versions],
            "Read by": [list(version.readers) for version in page.versions],
            "Last read": [version.last_read for version in page.versions],
            "Kept": [_kept(version) for version in page.versions],
            "SHA-256": [version.sha256 for version in page.versions],
        }
    )
    columns = {
        "Version": "Version",
        "Made": tables.moment("Made"),
        "By": "By",
        "Size": tables.size("Size"),
        "Read by": st.column_config.ListColumn("Read by", width="medium"),
        "Last read": tables.moment("Last read"),
        "Kept": "Kept",
        "SHA-256": st.column_config.TextColumn("SHA-256", width="small"),
    }
    tables.show(frame, "versions", columns)
    left, right = st.columns(2, gap="large")
    with left:
        _restore(viewer, page)
    with right:
        _compare(viewer, page)


def _kept(version: VersionRow) -> str:
    return "erased" if version.erased else "✓ backed up" if version.backed_up else "… waiting"


def _name(page: FilePage, version: VersionRow) -> str:
    number = len(page.versions) - page.versions.index(version)
    made = version.modified or version.first_read
    return " · ".join(
        filter(None, (version.label or f"no. {number}", f"{made:%d %b %Y}" if made else "", "newest" * version.newest))
    )


def _pick(page: FilePage, label: str, start: int, key: str, among: list[VersionRow]) -> VersionRow:
    found = st.selectbox(label, among, index=start, format_func=lambda v: _name(page, v), key=f"{key} {page.file_id}")
    return found or among[start]


def _restore(viewer: Viewer, page: FilePage) -> None:
    st.subheader("Have a version back")
    kept = [version for version in page.versions if version.backed_up and not version.erased]
    if not kept:
        st.caption("None is in the backup yet.")
        return
    version = _pick(page, "Version", 0, "restore", kept)
    if page.kind == "folder":
        st.code(folder_command(page.path), language="shell")
        return
    if version.size <= LARGEST:
        st.download_button(
            f"Download {human_bytes(version.size)}",
            data=partial(bytes_of, viewer, page.file_id, version.version_id),
            file_name=page.name,
            mime="application/octet-stream",
            icon=":material/download:",
            on_click="ignore",
            key=f"download {version.version_id}",
        )
    st.caption("Or on the command line, or in Python:")
    st.code(f"data-platform restore {version.sha256[:16]}", language="shell")
    st.code(f'read(link, version="sha256:{version.sha256[:16]}")', language="python")


def folder_command(path: str) -> str:
    """Return what somebody types, or pastes, to have a folder back: a path of others is never a command."""
    return f"data-platform restore-files --folder {shlex.quote(path)} TO"


def bytes_of(viewer: Viewer, file_id: str, version_id: str) -> bytes:
    """Return the bytes of a version from the content store, if whoever looks may have them at this moment.

    Raises
    ------
    VersionUnavailable
        If there is no such version, they may not know it, or it is not in the store.
    """
    store = open_store(settings())
    return b"".join(store.read(viewer.ask(_place_of, file_id, version_id, store.name)))


def _place_of(asker: Asker, file_id: str, version_id: str, store: str) -> Place:
    page = file_page(asker, file_id)
    version = next((one for one in page.versions if one.version_id == version_id), None) if page else None
    if version is None or version.erased:
        raise VersionUnavailable("There is no such version, or you may not know it. Open the page of the file anew.")
    for row in (where(Placement, sha256=version.sha256) * where(ContentStore, store_name=store)).to_dicts():
        return Place(row["object_name"], row["place_offset"], row["place_length"])
    raise VersionUnavailable("This version is not in the backup. Ask the file's owner for it.")


def _compare(viewer: Viewer, page: FilePage) -> None:
    st.subheader("Compare two")
    kept = [version for version in page.versions if version.backed_up and not version.erased]
    if len(kept) < 2:
        st.caption("There is one version in the backup: nothing to compare it with.")
        return
    old = _pick(page, "From", 1, "old", kept)
    new = _pick(page, "To", 0, "new", kept)
    if st.button("Show what differs", icon=":material/difference:", disabled=old == new):
        attempt(lambda: _differs(_compared(viewer, page.file_id, old.version_id, new.version_id)))


def _compared(viewer: Viewer, *of: str) -> Difference:
    """Return a difference; while it is looked for others ask the catalogue."""
    compare = viewer.ask(comparison, *of)
    with _COMPARING:
        return compare()


def _differs(found: Difference) -> None:
    if isinstance(found, OpaqueDifference):
        st.info("Both have the same bytes." if found.same else f"Their bytes differ: {plain(found.why)}.")
    elif isinstance(found, TextDifference):
        st.caption(f"{many(found.lines_added, 'line')} added, {many(found.lines_removed, 'line')} removed")
        st.code("\n".join(found.unified), language="diff")
        if found.cut:
            st.caption("There is more than is shown here.")
    else:
        _table_differs(found)


def _table_differs(found: TableDifference) -> None:
    for verb, names in (("New sheets", found.sheets_added), ("Sheets that are gone", found.sheets_removed)):
        if names:
            st.text(f"{verb}: {', '.join(names)}")
    if found.alike:
        st.success("The tables say the same; only their bytes differ.", icon=":material/check:")
    for sheet in found.sheets:
        if not sheet.alike:
            _sheet_differs(sheet)


def _sheet_differs(sheet: SheetDifference) -> None:
    if sheet.name:
        st.text(sheet.name)
    with st.container(horizontal=True):
        st.metric("Rows", f"{sheet.rows_new:,}", f"{sheet.rows_new - sheet.rows_old:+,}", delta_color="off")
        st.metric("Added", f"{sheet.rows_added:,}")
        st.metric("Removed", f"{sheet.rows_removed:,}")
        st.metric("Changed", f"{sheet.rows_changed:,}")
    for verb, names in (("New columns", sheet.columns_added), ("Columns that are gone", sheet.columns_removed)):
        if names:
            st.text(f"{verb}: {', '.join(names)}")
    if sheet.changed:
        cells = [(" / ".join(row.key), *cell) for row in sheet.changed for cell in row.cells]
        st.dataframe(pd.DataFrame(cells, columns=["Row", "Column", "Before", "After"]), hide_index=True)
    _rows("Added", sheet.added, sheet.new_columns)
    _rows("Removed", sheet.removed, sheet.old_columns)


def _rows(title: str, rows: tuple[tuple[str, ...], ...], names: tuple[str, ...]) -> None:
    if rows:
        st.caption(f"{title}: the first {len(rows)}")
        st.dataframe(pd.DataFrame(rows, columns=_different(names)[: len(rows[0])]), hide_index=True)
