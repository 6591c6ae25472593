"""Catalogue an existing share as a whole: look at it, plan what is new, take it in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path
from urllib.parse import unquote, urlsplit

from data_platform.errors import SettingsError, SourceUnavailable, UnsupportedItem
from data_platform.redact import redact_url
from data_platform.settings import Settings
from data_platform.settings import settings as settings_of_process
from populate.adopt.hands import Hands
from populate.adopt.listing import LISTED, Listing
from populate.adopt.needed import bind_needed
from populate.adopt.plan import Plan, Rate, WrittenPlan, root_id_of
from populate.adopt.progress import AdoptProgress, adopt_progress_on
from populate.adopt.survey import Counts, Survey, Unread
from populate.work.lease import Lease
from populate.work.stopping import Stop
from readers.registry import source_for
from readers.source import Item, Source
from schemas.binding import Binding

LONGEST_LINK = 4096  # to a root
LOCK_SECONDS = 10.0  # in which a server notices that a process was killed


@dataclass(frozen=True, slots=True)
class Adopted:
    """What an adopt found and did.

    Attributes
    ----------
    url
        The root.
    found
        What its survey counted.
    taken, taken_bytes
        Files that were taken in by this run and those before it that it had to finish, and the
        bytes that were read.
    unread
        Folders and files that could not be looked at or taken in, in the order of their paths.
    left
        Batches that still wait for a worker.
    failed
        Of these, batches whose job failed and waits for its next try.
    stopped
        It was told to stop; another run goes on.
    """

    url: str
    found: Counts
    taken: int = 0
    taken_bytes: int = 0
    unread: list[Unread] = field(default_factory=list)
    left: int = 0
    failed: int = 0
    stopped: bool = False


def adopt(
    url: str | PathLike[str],
    *,
    settings: Settings | None = None,
    dry_run: bool = False,
    work: bool = True,
    files_per_second: float = 0.0,
    bytes_per_second: float = 0.0,
    progress: AdoptProgress | None = None,
) -> Adopted:
    """Bring every file below a folder, share or prefix into the catalogue and the store.

    To be called in the main thread. Whatever it has done stays when it is killed, and the next
    run goes on; a run after that reads only what is new or changed.

    Parameters
    ----------
    url
        A folder of this machine or of a mounted share, or an ``s3://`` prefix.
    settings
        Those of the process unless given.
    dry_run
        Only count what there is to do.
    work
        Take in here what was planned; otherwise leave it to workers, which also help if not.
    files_per_second, bytes_per_second
        Greatest rates, of all workers together; 0 = any.
    progress
        Where to show how far it is; standard error unless given.

    Raises
    ------
    SourceError
        If the root cannot be listed, or is no folder.
    SettingsError
        If a rate is negative.
    DatabaseUnavailable
        If no connection can be had.
    """
    settings = settings or settings_of_process()
    rate = _checked(Rate(files_per_second, bytes_per_second))
    source = source_for(fspath(url), settings)
    root = _root(source, fspath(url))
    is_ours = own_places(settings)
    if is_ours(root):
        raise UnsupportedItem(f"{root.url} is where this product keeps its own files. Adopt the folder of your data.")
    progress = progress or adopt_progress_on()
    # Listed before others are kept out: what is not as the database knows it is looked at anew, once they are.
    with closing(Listing(source, root, is_ours, LISTED)) as listing, closing(progress):
        binding = bind_needed(settings)
        with Stop.on_signals() as stop:
            with _alone(binding, root_id_of(root), root.url):
                plan = Plan(root, source.kind) if dry_run else WrittenPlan(binding, root, source.kind, rate)
                survey = Survey(source, root, plan, progress.looked, listing)
                finished = stop.interrupting(survey.run)
            if dry_run or not finished:
                return Adopted(root.url, survey.counts, unread=survey.refusals, stopped=not finished)
            hands = Hands(settings, binding, plan.root_id, progress)
            if work:
                hands.work(stop)
            return Adopted(root.url, survey.counts, **hands.result(survey.refusals), stopped=stop.requested)


def _checked(rate: Rate) -> Rate:
    if not all(0 <= limit < float("inf") for limit in (rate.files, rate.bytes)):
        raise SettingsError("A rate cannot be negative. Give files and bytes a second, or 0 for any.")
    return rate


def _root(source: Source, url: str) -> Item:
    if type(source).list is Source.list or type(source).reopen is Source.reopen:
        raise UnsupportedItem(
            f"{source.kind} links lead to single files and not to folders that could be listed. "
            "Name a folder, a mounted share or an s3:// prefix."
        )
    root = source.resolve(url)
    if not root.is_folder:
        raise UnsupportedItem(f"{redact_url(url)} is a file. Name the folder that it is in, or read it.")
    if len(root.url) > LONGEST_LINK:
        raise UnsupportedItem(f"The path of {root.name!r} is too long to be kept. Adopt a folder above it.")
    return root


def own_places(settings: Settings) -> Callable[[Item], bool]:
    """Return a function that tells whether an item lies in the cache, the outbox, the database or a content store."""
    store = settings.store
    stores = ((settings.store_url, store.endpoint), (store.replica_url, store.replica_endpoint))
    kept = [settings.home.resolve().as_uri(), *(_place(settings, *one) for one in stores if one[0])]
    places = tuple(f"{place.rstrip('/')}/" for place in kept if place)
    return lambda item: f"{item.url.rstrip('/')}/".startswith(places)


def _place(settings: Settings, store: str, endpoint: str) -> str:
    """Return where a store is as items tell it; empty for a bucket of that name on another server."""
    if urlsplit(store).scheme in ("", "file"):
        path = unquote(urlsplit(store).path) if store.startswith("file:") else store
        return Path(path).expanduser().resolve().as_uri()
    return store if endpoint == settings.s3.endpoint else ""


@contextmanager
def _alone(binding: Binding, root_id: str, url: str) -> Iterator[None]:
    """Keep others from surveying the same root: what both find new would be planned twice. Ends with the connection."""
    lease = Lease(binding, f"adopt_{root_id}")
    deadline = time.monotonic() + LOCK_SECONDS
    while not lease.take():
        if time.monotonic() > deadline:
            raise SourceUnavailable(f"Somebody else is surveying {url} just now. Try again when that has ended.")
        time.sleep(0.1)
    try:
        yield
    finally:
        lease.give()
