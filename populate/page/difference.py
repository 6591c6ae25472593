"""What differs between two versions of a file, from their bytes in the content store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain

from data_platform.errors import BlobDamaged, BlobMissing, VersionUnavailable
from data_platform.settings import Settings
from data_platform.settings import settings as settings_of_process
from populate.backup.erased import erased
from populate.backup.tables import ContentStore, Placement
from populate.duplicates.forms.limited import Limits
from populate.duplicates.forms.stored import Checked, Placed, placed
from populate.lookup import lookup
from populate.page.page import contents_known, standing_of
from populate.page.reply import Difference, Differences, OpaqueDifference
from populate.page.versions import reads_of
from populate.store import Store, open_store
from populate.who.asker import Asker
from schemas.catalogue import Blob, Version
from schemas.restrict import where

LIMITS = Limits(256 * 1024**2, 2 * 1024**3, 30)
"""Bytes of both versions together and of memory, seconds of processor time, that a difference may take."""


def difference(
    asker: Asker,
    file_id: str,
    old_version_id: str,
    new_version_id: str,
    *,
    settings: Settings | None = None,
    shown: bool = False,
) -> Difference:
    """Return what differs between two versions of a file.

    Tables (CSV and the like, spreadsheets, Parquet, JSON records) are compared by rows and columns, whatever each
    was saved as; texts by lines; of anything else only the bytes are.

    Parameters
    ----------
    settings
        Where the content store is; those of the process unless given.
    shown
        The source itself lets the asker open the file just now, so all its versions may be known.

    Raises
    ------
    VersionUnavailable
        If there is no such version, the asker may not know it, or it is not in the content store.
    StoreUnavailable
        If the content store does not answer.
    BlobDamaged
        If it gives other bytes than were read.
    """
    return comparison(asker, file_id, old_version_id, new_version_id, settings=settings, shown=shown)()


def comparison(
    asker: Asker,
    file_id: str,
    old_version_id: str,
    new_version_id: str,
    *,
    settings: Settings | None = None,
    shown: bool = False,
) -> Callable[[], Difference]:
    """Return what finds a difference, as `difference` does, and asks no table any more: others may do so meanwhile.

    Whether the asker may know both versions has been asked by then.
    """
    contents = [_content(asker, file_id, version, shown) for version in (old_version_id, new_version_id)]
    if contents[0] == contents[1]:
        return partial(OpaqueDifference, kind="opaque", why="both versions have the same bytes", same=True)
    here = settings or settings_of_process()
    store = open_store(here)
    return partial(_compared, contents, [_placed(store, sha256) for sha256 in contents], store, here)


def _compared(contents: Sequence[str], places: Sequence[Placed], store: Store, here: Settings) -> Difference:
    read = [Checked(store.read(one.place)) for one in places]
    here.home.mkdir(parents=True, exist_ok=True)
    with Differences(LIMITS, here.home) as differences:
        found = _found(differences, contents, places, read)
    for sha256, content in zip(contents, read, strict=True):
        if content.begun and content.digest.hexdigest() != sha256:
            raise BlobDamaged(f"The backup of sha256:{sha256} is damaged. Run `data-platform check --verify-data`.")
    return found


def _found(
    differences: Differences, hashes: Sequence[str], places: Sequence[Placed], read: Sequence[Checked]
) -> Difference:
    try:
        return differences.between(hashes, [one.size for one in places], chain.from_iterable(read))
    except BlobMissing as error:
        raise VersionUnavailable(str(error)) from error


def _content(asker: Asker, file_id: str, version_id: str, shown: bool) -> str:
    """Return the SHA-256 of a version that the asker may know."""
    standing = standing_of(asker, file_id, shown=shown)
    rows = lookup(Version, "sha256", file_id={file_id}, version_id={version_id})
    if standing is not None and standing.known and rows:
        known = contents_known(asker, file_id, standing, reads_of(asker, file_id))
        if known is None or rows[0][0] in known:
            return str(rows[0][0])
    raise VersionUnavailable(
        "There is no such version, or you may not know it. `data-platform show` lists those that you may."
    )


def _placed(store: Store, sha256: str) -> Placed:
    columns = ("sha256", "blob_size", "store_name", "object_name", "place_offset", "place_length")
    rows = (where(Placement, sha256=sha256) * Blob * ContentStore).to_arrays(*columns)
    found = placed(zip(*(column.tolist() for column in rows), strict=True)).get(sha256, ())
    for one in found if not erased({sha256}) else ():  # a store may hold it still
        if one.store_name == store.name:
            return one
    raise VersionUnavailable(
        f"The content sha256:{sha256} is not in {store.name} (yet), or not any more. Let the worker run."
    )
