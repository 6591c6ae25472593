"""Saved searches: what somebody wants to search for again. Nobody else sees them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from data_platform.errors import RestrictionError
from populate.notes.rows import Row, enter, new_id, one_line, standing, writer
from populate.who.asker import Asker
from schemas.notes import SavedSearch, SavedSearchEnded

LONGEST_NAME = 128
LONGEST_TEXT = 1000
LONGEST_FACETS = 4000


@dataclass(frozen=True, slots=True)
class SearchView:
    """A saved search: what it is called, its words, and what it is narrowed to, as ``{"kind": ["csv"]}``."""

    saved_search_id: str
    name: str
    text: str
    facets: dict[str, list[str]]
    at: datetime


def save_search(asker: Asker, name: str, text: str, facets: Mapping[str, Collection[str]] | None = None) -> str:
    """Save a search under a name, and return its id; one of that name is replaced.

    Raises
    ------
    RestrictionError
        If it would find everything, is too long, or the catalogue does not know the asker.
    """
    person, called = writer(asker), one_line(name, LONGEST_NAME, "The name of a search")
    words = one_line(text, LONGEST_TEXT, "A search") if text.strip() else ""
    narrowed = {str(facet): sorted(map(str, values)) for facet, values in (facets or {}).items() if values}
    if not (words or narrowed):
        raise RestrictionError("A search without words or facets finds everything. Give it some.")
    told = json.dumps(narrowed, ensure_ascii=False, sort_keys=True) if narrowed else ""
    if len(told) > LONGEST_FACETS:
        raise RestrictionError("The search is narrowed to too much to be kept. Leave out some of the facets.")
    saved = new_id()
    row = {"saved_search_id": saved, "person_id": person, "search_saved_at": asker.now, "search_name": called}
    before = [view.saved_search_id for view in saved_searches(asker) if view.name == called]
    asker.binding.ensure()
    with asker.binding.transaction():
        enter(asker.binding, SavedSearch, {**row, "search_text": words, "search_facets": told})
        enter(
            asker.binding, SavedSearchEnded, *({"saved_search_id": old, "search_ended_at": asker.now} for old in before)
        )
    return saved


def forget_search(asker: Asker, name: str) -> None:
    """Keep a saved search no longer.

    Raises
    ------
    RestrictionError
        If the asker has none of that name or id.
    """
    enter(
        asker.binding,
        SavedSearchEnded,
        {"saved_search_id": saved_search(asker, name).saved_search_id, "search_ended_at": asker.now},
    )


def saved_searches(asker: Asker) -> list[SearchView]:
    """Return the asker's saved searches, by name."""
    if not asker.person_id:
        return []
    rows = standing(SavedSearch, SavedSearchEnded, person_id={asker.person_id})
    return sorted(map(_view, rows), key=lambda view: (view.name.casefold(), view.saved_search_id))


def saved_search(asker: Asker, name: str) -> SearchView:
    """Return the asker's saved search of that name or id.

    Raises
    ------
    RestrictionError
        If there is none.
    """
    for view in saved_searches(asker):
        if name.strip() in (view.name, view.saved_search_id):
            return view
    raise RestrictionError(f"You have no saved search {name[:128]!r}. `data-platform searches` tells which there are.")


def _view(row: Row) -> SearchView:
    facets = json.loads(row["search_facets"]) if row["search_facets"] else {}
    return SearchView(row["saved_search_id"], row["search_name"], row["search_text"], facets, row["search_saved_at"])
