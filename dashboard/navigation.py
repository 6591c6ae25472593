"""Which pages there are, in which section, and for whom."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import streamlit as st
from streamlit.errors import StreamlitAPIException

from dashboard.display import plain


class Entry(NamedTuple):
    """A page.

    Attributes
    ----------
    path
        Of its address and, with ``.py``, of its file in ``pages``.
    role
        Who finds it in the menu. The page itself refuses others by `dashboard.identity.require`.
    listed
        False: it is opened from other pages only.
    """

    section: str
    path: str
    title: str
    icon: str
    role: str = "scientist"
    listed: bool = True


DISCOVER, MINE, MANAGE, GOVERN, OPERATE, ENTER = "Discover", "You", "Manage", "Govern", "Operate", "Enter"
ENTRIES = (
    Entry(DISCOVER, "search", "Search", "search"),
    Entry(DISCOVER, "file", "File", "description", listed=False),
    Entry(DISCOVER, "person", "People", "group"),
    Entry(DISCOVER, "map", "Data map", "map"),
    Entry(MINE, "mine", "My data", "inventory_2"),
    Entry(MANAGE, "adoption", "Adoption", "trending_up", "manager"),
    Entry(MANAGE, "silos", "Silos", "workspaces", "manager"),
    Entry(MANAGE, "duplicates", "Duplicates", "content_copy", "manager"),
    Entry(MANAGE, "hygiene", "Permission hygiene", "lock_open", "steward"),
    Entry(GOVERN, "files", "All files", "folder_open", "steward"),
    Entry(GOVERN, "audit", "Audit trail", "history", "steward"),
    Entry(GOVERN, "backups", "Backups", "inventory_2", "steward"),
    Entry(GOVERN, "retention", "Retention", "gavel", "steward"),
    Entry(GOVERN, "erasures", "Erasures", "delete_forever", "steward"),
    Entry(OPERATE, "operate", "Health", "monitor_heart", "engineer"),
    Entry(ENTER, "enter", "Enter rows", "edit_note"),
)
PAGES = Path(__file__).parent / "pages"
HOME = "search"


def file_of(path: str) -> Path:
    """Return the file of a page."""
    return PAGES / f"{path}.py"


def pages(roles: Collection[str]) -> dict[str, list[Any]]:
    """Return all pages by section; those of other roles are not listed, and say so if their address is opened."""
    found: dict[str, list[Any]] = {}
    for entry in ENTRIES:
        found.setdefault(entry.section, []).append(_page(entry, entry.listed and entry.role in roles))
    return found


def _page(entry: Entry, is_listed: bool) -> Any:
    return st.Page(
        file_of(entry.path),
        title=entry.title,
        icon=f":material/{entry.icon}:",
        url_path=entry.path,
        default=entry.path == HOME,
        visibility="visible" if is_listed else "hidden",
    )


def link(label: str, path: str, icon: str = "", **address: str) -> None:
    """Show a link to a page of ours; `label` is data, `address` goes after the question mark of the URL.

    A page that was opened past the router knows no other: there the label is text.
    """
    try:
        st.page_link(
            file_of(path),
            label=plain(label),
            icon=f":material/{icon}:" if icon else None,
            query_params=address or None,
        )
    except StreamlitAPIException:
        st.text(label)


def go(path: str, **address: str | list[str]) -> None:
    """Open another page of ours."""
    st.switch_page(file_of(path), query_params=address or None)
