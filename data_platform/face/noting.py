"""What people write about files, keep together, search again and want to be told of."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from os import fspath
from typing import TYPE_CHECKING

from data_platform.links import Link
from data_platform.settings import settings

if TYPE_CHECKING:
    from populate.notes.collected import CollectionView
    from populate.notes.searches import SearchView
    from populate.notes.subscriptions import SubscriptionView
    from populate.notes.tags import Tagged
    from populate.notes.telling import Told
    from populate.notes.texts import NoteView
    from populate.who.asker import Asker


def tag(about: Link, *words: str, remove: bool = False) -> list[str]:
    """Give a file tags, or take them away, and return these as they are spelt.

    Parameters
    ----------
    about
        A link or path that the caller can open or has read, or the id of a file.
    *words
        Tags: each a few words, without regard to case.
    remove
        Take them away: one's own, and of one's own file any.

    Raises
    ------
    RestrictionError
        If the file may not be known, or it has no such tag that the caller may take away.
    """
    from populate.notes.tags import add_tag, remove_tag, tag_of

    here, file_id = _here(about)
    spelt = [tag_of(word) for word in words]
    for word in spelt:
        if remove:
            remove_tag(here, file_id, word, steward=_is_steward(here))
        else:
            add_tag(here, file_id, word)
    return spelt


def tags(about: Link = "", *, having: str = "") -> list[Tagged]:
    """Return the tags of a file; without one those of all files that the caller may know.

    Parameters
    ----------
    having
        Only this tag.
    """
    from populate.notes.tags import all_tagged, tag_of, tagged, tags_of

    if not fspath(about):
        return tagged(_asker(), having) if having else all_tagged(_asker())
    here, file_id = _here(about)
    return [row for row in tags_of(here, [file_id]) if not having or row.tag == tag_of(having)]


def note(about: Link, text: str, *, replaces: str = "") -> str:
    """Note something down about a file for all who may know it, and return the id of the note.

    Parameters
    ----------
    text
        Plain text of at most 4,000 characters.
    replaces
        Id of a note that does not hold any more from then on.

    Raises
    ------
    RestrictionError
        If the caller is neither the owner of the file nor a steward.
    """
    from populate.notes.texts import add_note

    here, file_id = _here(about)
    return add_note(here, file_id, text, steward=_is_steward(here), replaces=replaces)


def withdraw_note(note_id: str) -> None:
    """Let a note of one's own, or about one's own file, hold no more.

    Raises
    ------
    RestrictionError
        If there is no such note.
    """
    from populate.notes.texts import withdraw_note as withdraw

    here = _asker()
    withdraw(here, note_id, steward=_is_steward(here))


def notes(about: Link) -> list[NoteView]:
    """Return the notes of owner and stewards about a file, the latest first."""
    from populate.notes.texts import notes_of

    here, file_id = _here(about)
    return notes_of(here, [file_id])


def collect(
    name: str, *files: Link, remove: bool = False, about: str | None = None, shared: bool | None = None
) -> CollectionView:
    """Put files into a collection of one's own, which is made if need be, and return it.

    Parameters
    ----------
    remove
        Take them out instead.
    about
        What the collection is for; stays as it is unless given.
    shared
        Whether colleagues find it. They see of its files those that they may know anyway.

    Raises
    ------
    RestrictionError
        If a file may not be known, or one that is to be taken out is not in there.
    """
    from populate.notes import collected

    here = _asker()
    own = next(
        (view for view in collected.collections_of(here) if view.mine and name in (view.name, view.collection_id)), None
    )
    found = [_file(here, file) for file in files]
    if own is None:
        kept = collected.make_collection(here, name, about=about or "", shared=bool(shared))
    else:
        kept = own.collection_id
        if about is not None or shared is not None:
            collected.change_collection(here, kept, about=about, shared=shared)
    for file_id in found:
        (collected.take_out if remove else collected.put_into)(here, kept, file_id)
    return collected.collection(here, kept)


def collections() -> list[CollectionView]:
    """Return one's own collections and those that colleagues share."""
    from populate.notes.collected import collections_of

    return collections_of(_asker())


def end_collection(name: str) -> None:
    """Keep a collection of one's own no longer; its files stay what they are.

    Raises
    ------
    RestrictionError
        If the caller keeps none of that name or id.
    """
    from populate.notes.collected import collection
    from populate.notes.collected import end_collection as end

    here = _asker()
    end(here, collection(here, name).collection_id)


def save_search(name: str, text: str = "", facets: Mapping[str, Collection[str]] | None = None) -> str:
    """Save a search under a name, and return its id; one of that name is replaced. Nobody else sees it.

    Parameters
    ----------
    text
        Words to search for.
    facets
        What it is narrowed to, as ``{"kind": ["csv"]}``.

    Raises
    ------
    RestrictionError
        If it has neither words nor facets.
    """
    from populate.notes.searches import save_search as save

    return save(_asker(), name, text, facets)


def forget_search(name: str) -> None:
    """Keep a saved search no longer.

    Raises
    ------
    RestrictionError
        If there is none of that name or id.
    """
    from populate.notes.searches import forget_search as forget

    forget(_asker(), name)


def searches() -> list[SearchView]:
    """Return one's saved searches."""
    from populate.notes.searches import saved_searches

    return saved_searches(_asker())


def follow(about: Link, *, webhook: str = "", end: bool = False) -> bool:
    """Be told when a new version of a file appears, or no more; return whether one is.

    Parameters
    ----------
    webhook
        Address that a signed request goes to; a mail is sent unless given.
    end
        Be told no more: by that webhook, or unless one is given in no way.

    Raises
    ------
    RestrictionError
        If the file may not be known, or is not followed.
    UnsafeLink
        If requests must not go to that address.
    """
    from populate.notes import subscriptions

    here, file_id = _here(about)
    (subscriptions.unfollow if end else subscriptions.follow)(here, file_id, webhook)
    return not end


def following() -> list[SubscriptionView]:
    """Return the files that one follows, with how far one was told."""
    from populate.notes.subscriptions import subscriptions_of

    return subscriptions_of(_asker())


def tell_followers() -> Told:
    """Tell everybody now of the new versions of the files that they follow, as the scheduler does each minute."""
    from populate.notes.telling import tell_due
    from populate.pipeline import bind_all

    return tell_due(bind_all(settings()))


def webhook_key(url: str) -> str:
    """Return the key that requests to a webhook are signed with, for whoever runs the program that listens there.

    Raises
    ------
    UnsafeLink
        If requests must not go to that address.
    SettingsError
        If the setting ``subscriptions.webhook_key`` is not set here.
    """
    from populate.notes.webhook import hook_key

    return hook_key(url, settings())


def _here(about: Link) -> tuple[Asker, str]:
    here = _asker()
    return here, _file(here, about)


def _file(here: Asker, about: Link) -> str:
    from populate.notes.about import file_about

    return file_about(here, fspath(about), settings())


def _is_steward(here: Asker) -> bool:
    from populate.notes.about import is_steward

    return is_steward(here, settings())


def _asker() -> Asker:
    from populate.pipeline import bind_all
    from populate.who.asker import asker

    return asker(bind_all(settings()), settings())
