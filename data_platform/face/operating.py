"""Keeping the catalogue and its backups: deliver, work off, adopt, check, restore."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from data_platform.links import Link
from data_platform.settings import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from populate.adopt.share import Adopted
    from populate.check import Problem


def flush() -> int:
    """Deliver every access that waits on this machine, now; return how many were delivered.

    Raises
    ------
    DatabaseUnavailable
        If the database does not answer; nothing is lost, the accesses keep waiting.
    """
    from readers.shipper import flush as deliver_all

    return deliver_all(settings())


def worker(*, once: bool = False, processes: int = 1) -> int:
    """Turn accesses into catalogue rows and back up new content: until stopped, or `once` until nothing is left.

    To be called in the main thread; SIGTERM and Ctrl-C stop it. Returns how many batches
    failed and wait for their next try.
    """
    from populate.worker import run_worker

    return run_worker(settings(), once=once, processes=processes).failed_jobs


def scheduler() -> None:
    """Keep the job queues until stopped, or stand by while another scheduler does.

    To be called in the main thread; SIGTERM and Ctrl-C stop it.
    """
    from populate.scheduler import run_scheduler

    run_scheduler(settings())


def retry() -> dict[str, int]:
    """Have everything that failed tried again at once; return how many ``jobs``, ``versions``, ``damaged``."""
    from populate.pipeline import bind_all
    from populate.status import try_again

    return try_again(bind_all(settings()))


def health(url: str = "", *, live: bool = False) -> dict[str, object]:
    """Ask a worker or scheduler whether it can do its work.

    Parameters
    ----------
    url
        Its address, as ``http://worker-1:9464``; the one that the settings name unless given.
    live
        Ask only whether the process answers.

    Returns
    -------
    dict
        ``ready``, and for each part (``database``, ``store``, ``work``) ``ok`` or what is wrong.
    """
    from data_platform.health import ask

    return ask(settings().monitor, url, live)


def adopt(
    url: Link,
    *,
    dry_run: bool = False,
    work: bool = True,
    files_per_second: float = 0.0,
    bytes_per_second: float = 0.0,
) -> Adopted:
    """Catalogue and back up everything below a folder, mounted share or ``s3://`` prefix, without reading it as a user.

    To be called in the main thread. It may be killed at any time; the next run goes on, and
    later runs read only what is new or changed and note what has vanished.

    Parameters
    ----------
    url
        The folder or prefix.
    dry_run
        Only count what there is to do.
    work
        Take the files in here; otherwise leave that to workers.
    files_per_second, bytes_per_second
        Greatest rates, of all workers together; 0 = any.

    Raises
    ------
    UnknownSource, MissingExtra, SourceError
        If there is nothing, it cannot be listed, or it is no folder.
    SettingsError
        If a rate is negative.
    """
    from populate.adopt.share import adopt as adopt_share

    return adopt_share(
        url,
        settings=settings(),
        dry_run=dry_run,
        work=work,
        files_per_second=files_per_second,
        bytes_per_second=bytes_per_second,
    )


def status() -> dict[str, int]:
    """Return the counts of what is catalogued, backed up and still waiting; sizes are in bytes."""
    from populate.pipeline import bind_all
    from populate.status import status as counts

    return dict(counts(bind_all(settings()), settings()))


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
    from populate.pipeline import bind_all
    from populate.restore import restore as restore_blob
    from populate.store import open_store

    return restore_blob(bind_all(settings()), open_store(settings()), sha256, None if to is None else Path(to))


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
    from populate.check import check as examine
    from populate.pipeline import bind_all
    from populate.proving import prove, recorded
    from populate.store import open_store

    if not 0 < sample <= 1 or not (verify_data or (sample == 1 and older_than is None)):
        raise RestrictionError("A sample is a share up to 100 % of the bytes: verify the data, too.")
    binding, store = bind_all(settings()), open_store(settings())
    if not verify_data:
        return examine(binding, store)
    if sample == 1 and older_than is None:
        return recorded(store, lambda sound: examine(binding, store, verify_data=True, sound=sound))
    return prove(binding, store, sample=sample, older_than=older_than)


def deploy() -> list[str]:
    """Create what is missing of the schemas and tables, and return the names of the schemas."""
    from populate.pipeline import SCHEMAS, bind_all

    bind_all(settings(), deploy=True)
    return [f"{settings().database.prefix}_{name}" for name, _ in SCHEMAS]


def snapshot(day: date | None = None) -> int:
    """Fix what is known now, compute its figures, and return the snapshot's number.

    Parameters
    ----------
    day
        Last day that the figures look at, UTC; today unless given.

    Raises
    ------
    SnapshotRefused
        If the day has not begun.
    DatabaseUnavailable
        If no connection can be had.
    """
    from populate.jobs import PER_SNAPSHOT
    from populate.pipeline import bind_all
    from populate.snapshot import take_snapshot

    number = take_snapshot(bind_all(settings()), day)
    for table in PER_SNAPSHOT:
        table.populate({"snapshot_no": number})
    return number
