"""Backups: getting bytes back, and seeing that they are there."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from data_platform.errors import StoreUnavailable
from data_platform.links import Link
from data_platform.settings import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from populate.backup.check import Problem
    from populate.backup.erasing import Erased
    from populate.backup.rebuild import Rebuilt
    from populate.backup.restoring import Restored
    from populate.backup.sealing import Sealed


def restore(sha256: str, to: Link | None = None) -> Path:
    """Write a backed-up content to a file and return its path.

    Parameters
    ----------
    sha256
        64 hex digits or the first 8 and more, with or without ``sha256:``.
    to
        The file to make, or a folder. By default, and in a folder, the file is called what
        a file with this content was last called.

    Raises
    ------
    VersionUnavailable
        If no content is known by this hash, or several are.
    BlobMissing, BlobDamaged
        If the store does not hold these bytes, or holds others.
    TargetExists, RestoreError
        If there is another file already, or it cannot be written.
    """
    from populate.backup.restore import restore as restore_blob
    from populate.pipeline import bind_all
    from populate.store import reachable_stores

    store, *copies = reachable_stores(settings())
    return restore_blob(bind_all(settings()), store, sha256, None if to is None else Path(to), copies=copies)


def restore_files(
    to: Link,
    *,
    owner: str = "",
    source: str = "",
    below: str = "",
    as_of: datetime | None = None,
    file_set: str = "",
    gone: bool = False,
    progress: Callable[[Restored], object] | None = None,
) -> Restored:
    """Write backed-up files below a folder, each verified, with their names and times; what is there already stays.

    Without any choice that is every file that is catalogued. Who was broken off calls it again.

    Parameters
    ----------
    to
        The folder; it is made if it is missing.
    owner
        Only files of this person: a login, or a name in full.
    source
        Only files of this source system, as the dashboard shows it.
    below
        Only the file of this path, or what is below it.
    as_of
        The files that there were at this moment, with their bytes of then; what names no zone is UTC. Now unless
        given.
    file_set
        The members of a file set as it was: 64 hex digits, the SHA-256 that reading it recorded. Goes with no
        other choice.
    gone
        Files that were no longer there, too.
    progress
        Called after each file with what has been done so far.

    Raises
    ------
    VersionUnavailable
        If there is no such person, or no such file set.
    RestrictionError
        If `file_set` is given beside other choices.
    StoreUnavailable
        If the store does not answer.
    RestoreError
        If the folder cannot be made.
    """
    from data_platform.errors import RestrictionError
    from populate.backup import restorable, restoring
    from populate.pipeline import bind_all
    from populate.store import reachable_stores

    if file_set and (owner or source or below or as_of or gone):
        raise RestrictionError("A file set is as it was: give nothing else beside it.")
    binding = bind_all(settings())
    moment = restorable.now() if as_of is None else restorable.in_utc(as_of)
    entries = (
        restorable.files_of_set(binding, file_set.strip().lower().removeprefix("sha256:"))
        if file_set
        else restorable.files_at(binding, moment, owner=owner, source=source, below=below, gone=gone)
    )
    store, *copies = reachable_stores(settings())
    return restoring.restore_files(binding, store, entries, Path(to), copies=copies, progress=progress)


def erase(sha256: str, *, reason: str) -> Erased:
    """Erase a content from the content store and from the cache of this machine, for good.

    The catalogue still tells who read these bytes and when, and by whose order they were erased; they are
    not backed up again. Caches of other machines lose them when they evict them; sources keep their files.

    Parameters
    ----------
    sha256
        64 hex digits or the first 8 and more, with or without ``sha256:``.
    reason
        Why; it stays in the catalogue.

    Raises
    ------
    VersionUnavailable
        If no content is known by this hash, or several are.
    RestrictionError
        If there is no reason, or a legal hold keeps it.
    DatabaseOutdated
        If a store knows of decisions that the catalogue does not: one may be a hold that keeps it.
    StoreUnavailable, StoreError
        If a store does not answer, which may know of such a hold, or does not let anything be removed. The order is
        kept, and the next `retain` carries it out; nothing is lost by trying again.
    """
    from populate.backup.erasing import erase as erase_content
    from populate.backup.erasing import order
    from populate.pipeline import bind_all
    from populate.retention.keeping import assert_not_held
    from populate.retention.noting import unasked
    from populate.store import open_store

    binding = bind_all(settings())
    failed = unasked(binding, settings())
    assert_not_held(binding, sha256)
    if failed:
        order(binding, settings(), sha256, reason)
        raise StoreUnavailable(
            "The order to erase is kept, and nothing was removed from any store, for one could not be asked whether it "
            f"knows of a hold: {failed[0]} The next `data-platform retain` finishes it once all stores answer."
        ) from failed[0]
    return erase_content(binding, open_store(settings()), settings(), sha256, reason)


def seal(*, progress: Callable[[Sealed], object] | None = None) -> Sealed:
    """Seal what the content store and its replica hold with the newest of `store.seal_keys`, in place.

    That is what was stored before `store.seal` was set, and what was sealed with an older key. Each object is read
    back before what is there unsealed goes. What was broken off goes on by calling it again.

    Parameters
    ----------
    progress
        Called with what has been done so far.

    Raises
    ------
    SettingsError
        If `store.seal` is off.
    StoreUnavailable
        If a store does not answer, or something else is being removed from it.
    """
    from populate.backup.sealing import seal as seal_all
    from populate.pipeline import bind_all

    return seal_all(bind_all(settings()), settings(), progress=progress)


def rebuild(
    *, verify_data: bool = False, only_decisions: bool = False, progress: Callable[[Rebuilt], object] | None = None
) -> Rebuilt:
    """Enter every content of the content store into the catalogue that has no place there; what is there stays.

    For when the database was lost and the store was not: what files were called and who read them comes
    back with a backup of the database, and what the store took after that with this. So do holds and rules that
    were made or ended since, from the store and its replica as far as they answer, if this login may enter them as a
    steward may.

    Parameters
    ----------
    verify_data
        Read contents that the catalogue knows already, too, and enter them only if they have their hashes.
    only_decisions
        Enter holds and rules, and no contents, which a steward may not.
    progress
        Called with what has been found so far, first with the decisions.

    Raises
    ------
    StoreUnavailable
        If the store does not answer.
    """
    from populate.backup.rebuild import Rebuilt
    from populate.backup.rebuild import rebuild as enter_contents
    from populate.pipeline import bind_all
    from populate.retention.entering import enter_decisions
    from populate.store import open_store, reachable_stores

    binding = bind_all(settings())
    entered = enter_decisions(binding, reachable_stores(settings()))

    def both(found: Rebuilt) -> Rebuilt:
        found = replace(found, decisions=entered.decisions, refused=[*entered.refused, *found.refused])
        if progress is not None:
            progress(found)
        return found

    found = both(Rebuilt())  # told before contents, which take long and which a steward may not enter
    if only_decisions:
        return found
    return both(enter_contents(binding, open_store(settings()), verify_data=verify_data, progress=both))


def check(*, verify_data: bool = False, sample: float = 1.0, older_than: timedelta | None = None) -> Iterator[Problem]:
    """Yield what is wrong with the content store: missing or short blobs, and damaged ones if `verify_data`.

    Parameters
    ----------
    verify_data
        Read the bytes and compare their hashes, and note down which contents were proven so.
    sample
        Read only this share of the contents, above 0 and up to 1, chosen by chance.
    older_than
        Read only contents that were not read back for so long.

    Raises
    ------
    RestrictionError
        If `sample` or `older_than` is given without `verify_data`, or the former is no share.
    StoreUnavailable
        If the store does not answer.
    """
    from data_platform.errors import RestrictionError
    from populate.backup.check import check as examine
    from populate.backup.proving import prove, recorded
    from populate.pipeline import bind_all
    from populate.store import open_store

    if not 0 < sample <= 1 or not (verify_data or (sample == 1 and older_than is None)):
        raise RestrictionError("A sample is a share up to 100 % of the bytes: verify the data, too.")
    binding, store = bind_all(settings()), open_store(settings())
    if not verify_data:
        return recorded(store, lambda _: examine(binding, store))
    if sample == 1 and older_than is None:
        return recorded(store, lambda sound: examine(binding, store, verify_data=True, sound=sound))
    return prove(binding, store, sample=sample, older_than=older_than)
