"""Collections: files that somebody keeps together, for themselves or for colleagues to find.

A colleague finds a collection that its keeper shares, whatever is in it, and sees of its files those that
they may know anyway: neither the list nor the count tells that there are others.
"""

from __future__ import annotations

from collections.abc import Collection as Several
from dataclasses import dataclass
from datetime import datetime

from data_platform.errors import RestrictionError
from populate.lookup import lookup
from populate.notes.about import assert_known, names, people
from populate.notes.rows import Row, enter, moment, new_id, one_line, some_lines, standing, writer
from populate.who.asker import Asker
from schemas.notes import Collection, CollectionEnded, CollectionFile, CollectionFileEnded, CollectionTitle

LONGEST_NAME = 128
LONGEST_ABOUT = 1000


@dataclass(frozen=True, slots=True)
class Kept:
    """A file in a collection, as the asker knows it."""

    file_id: str
    name: str
    path: str
    source_system: str
    at: datetime


@dataclass(frozen=True, slots=True)
class CollectionView:
    """A collection; `keeper` is empty if whoever keeps it is not to be named, and `files` are those one may know."""

    collection_id: str
    name: str
    about: str
    shared: bool
    mine: bool
    keeper: str
    files: tuple[Kept, ...]


def make_collection(asker: Asker, name: str, *, about: str = "", shared: bool = False) -> str:
    """Begin a collection and return its id.

    Raises
    ------
    RestrictionError
        If the asker keeps one of that name already, or the catalogue does not know them.
    """
    person, title = writer(asker), _title(name, about, shared)
    _refuse_namesake(asker, str(title["collection_name"]))
    key = {"collection_id": new_id()}
    asker.binding.ensure()
    with asker.binding.transaction():
        enter(asker.binding, Collection, {**key, "keeper_id": person, "collection_made_at": asker.now})
        enter(asker.binding, CollectionTitle, {**key, "titled_at": asker.now, **title})
    return key["collection_id"]


def change_collection(
    asker: Asker, collection_id: str, *, name: str = "", about: str | None = None, shared: bool | None = None
) -> None:
    """Call one's own collection otherwise, say what it is for, or have colleagues find it or not; the rest stays.

    Raises
    ------
    RestrictionError
        If the asker keeps no such collection, or another one of that name.
    """
    found = _own(asker, collection_id)
    if name and one_line(name, LONGEST_NAME, "The name of a collection") != found.name:
        _refuse_namesake(asker, one_line(name, LONGEST_NAME, "The name of a collection"))
    said, open_to_all = found.about if about is None else about, found.shared if shared is None else shared
    at = moment(asker, CollectionTitle, "titled_at", collection_id={found.collection_id})
    row = {
        "collection_id": found.collection_id,
        "titled_at": at,
        **_title(name or found.name, said, open_to_all),
    }
    enter(asker.binding, CollectionTitle, row)


def end_collection(asker: Asker, collection_id: str) -> None:
    """Keep one's own collection no longer; its files stay what they are."""
    found = _own(asker, collection_id)
    enter(asker.binding, CollectionEnded, {"collection_id": found.collection_id, "collection_ended_at": asker.now})


def put_into(asker: Asker, collection_id: str, file_id: str) -> None:
    """Put a file that the asker may know into their collection; a second time changes nothing."""
    found = _own(asker, collection_id)
    assert_known(asker, file_id)
    if file_id not in {kept.file_id for kept in found.files}:
        key = {"collection_id": found.collection_id, "file_id": file_id}
        at = moment(asker, CollectionFile, "collected_at", collection_id={found.collection_id}, file_id={file_id})
        enter(asker.binding, CollectionFile, {**key, "collected_at": at})


def take_out(asker: Asker, collection_id: str, file_id: str) -> None:
    """Take a file out of the asker's own collection.

    Raises
    ------
    RestrictionError
        If it is not in there.
    """
    found = _own(asker, collection_id)
    rows = standing(CollectionFile, CollectionFileEnded, collection_id={found.collection_id}, file_id={file_id})
    if not rows:
        raise RestrictionError(f"That file is not in {found.name!r}. `data-platform collections` tells what is.")
    enter(asker.binding, CollectionFileEnded, *({**row, "uncollected_at": asker.now} for row in rows))


def collections_of(asker: Asker) -> list[CollectionView]:
    """Return the asker's own collections and those that colleagues share, one's own first, by name."""
    kept = standing(Collection, CollectionEnded, collection_id=_ids(Collection.proj().to_arrays("collection_id")))
    titles = _titles({row["collection_id"] for row in kept})
    mine = [
        row for row in kept if row["keeper_id"] == asker.person_id or titles[row["collection_id"]]["collection_shared"]
    ]
    files = _files(asker, {row["collection_id"] for row in mine})
    keepers = people(asker, {row["keeper_id"] for row in mine})
    found = [_view(asker, row, titles, keepers, files) for row in mine]
    return sorted(found, key=lambda view: (not view.mine, view.name.casefold(), view.collection_id))


def collection(asker: Asker, name: str) -> CollectionView:
    """Return a collection that the asker keeps or finds, by name or id; of several of a name their own.

    Raises
    ------
    RestrictionError
        If there is none, or several colleagues share one of that name.
    """
    found = [view for view in collections_of(asker) if name.strip() in (view.name, view.collection_id)]
    own = [view for view in found if view.mine]
    if len(own or found) == 1:
        return (own or found)[0]
    if found:
        raise RestrictionError(f"{len(found)} collections are called {name!r}. Give the id of one.")
    raise RestrictionError(f"There is no collection {name[:128]!r}. `data-platform collections` tells which there are.")


def _title(name: str, about: str, shared: bool) -> Row:
    said = some_lines(about, LONGEST_ABOUT, "What it is for") if about.strip() else ""
    named = one_line(name, LONGEST_NAME, "The name of a collection")
    return {"collection_name": named, "collection_about": said, "collection_shared": shared}


def _own(asker: Asker, collection_id: str) -> CollectionView:
    for view in collections_of(asker):
        if view.collection_id == collection_id and view.mine:
            return view
    raise RestrictionError("You keep no such collection. `data-platform collections` tells which there are.")


def _refuse_namesake(asker: Asker, name: str) -> None:
    if any(view.mine and view.name == name for view in collections_of(asker)):
        raise RestrictionError(f"You keep a collection {name!r} already. Use it, or take another name.")


def _ids(found: Several[object]) -> set[str]:
    return {str(one) for one in found}


def _titles(ids: Several[str]) -> dict[str, Row]:
    columns = CollectionTitle().heading.names
    rows = [dict(zip(columns, row, strict=True)) for row in lookup(CollectionTitle, *columns, collection_id=set(ids))]
    return {row["collection_id"]: row for row in sorted(rows, key=lambda row: row["titled_at"])}  # the latest holds


def _files(asker: Asker, ids: Several[str]) -> dict[str, tuple[Kept, ...]]:
    rows = standing(CollectionFile, CollectionFileEnded, collection_id=set(ids)) if ids else []
    known = names(asker, {row["file_id"] for row in rows})
    found: dict[str, dict[str, Kept]] = {}
    for row in rows:
        if (name := known.get(row["file_id"])) is not None:
            kept = Kept(row["file_id"], name.name, name.path, name.source_system, row["collected_at"])
            found.setdefault(row["collection_id"], {}).setdefault(row["file_id"], kept)
    return {
        one: tuple(sorted(files.values(), key=lambda kept: (kept.name, kept.file_id))) for one, files in found.items()
    }


def _view(
    asker: Asker, row: Row, titles: dict[str, Row], keepers: dict[str, str], files: dict[str, tuple[Kept, ...]]
) -> CollectionView:
    one = row["collection_id"]
    return CollectionView(
        one,
        titles[one]["collection_name"],
        titles[one]["collection_about"],
        bool(titles[one]["collection_shared"]),
        row["keeper_id"] == asker.person_id,
        keepers[row["keeper_id"]],
        files.get(one, ()),
    )
