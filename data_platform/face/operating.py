"""Keeping the catalogue going: deliver, work off, adopt, deploy."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import date
from typing import TYPE_CHECKING

from data_platform.links import Link
from data_platform.settings import settings

if TYPE_CHECKING:
    from populate.adopt.share import Adopted


def flush() -> int:
    """Deliver every access that waits on this machine, now; return how many were delivered.

    Raises
    ------
    DatabaseUnavailable
        If the database does not answer; nothing is lost, the accesses keep waiting.
    """
    from readers.flush import flush as deliver_all
    from readers.flush import look

    delivered = deliver_all(settings())
    if delivered:
        look(settings())
    return delivered


def worker(*, once: bool = False, processes: int = 1) -> int:
    """Turn accesses into catalogue rows and back up new content: until stopped, or `once` until nothing is left.

    To be called in the main thread; SIGTERM and Ctrl-C stop it. Returns how many batches
    failed and wait for their next try.
    """
    from populate.work.worker import run_worker

    return run_worker(settings(), once=once, processes=processes).failed_jobs


def scheduler() -> None:
    """Keep the job queues until stopped, or stand by while another scheduler does.

    To be called in the main thread; SIGTERM and Ctrl-C stop it.
    """
    from populate.work.scheduler import run_scheduler

    run_scheduler(settings())


def retry() -> dict[str, int]:
    """Have everything that failed tried again at once; return how many ``jobs``, ``versions``, ``damaged``."""
    from populate.pipeline import bind_all
    from populate.watch.status import try_again

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
    from schemas.embedded import launched

    with launched(settings().home) if settings().database.backend == "embedded" else nullcontext():
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
    from populate.watch.status import status as counts

    return dict(counts(bind_all(settings()), settings()))


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
    from populate.pipeline import bind_all
    from populate.snapshot import take_snapshot
    from populate.work.jobs import PER_SNAPSHOT

    number = take_snapshot(bind_all(settings()), day)
    for table in PER_SNAPSHOT:
        table.populate({"snapshot_no": number})
    return number
