"""What users call, in terms of the parts that do it. Each verb of the command line is one of these functions.

`data_platform` exports these lazily: nothing here imports a database driver, pandas or
Streamlit before a function that needs one is called.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from data_platform.errors import at_caller
from data_platform.settings import settings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from populate.adopt import Adopted
    from populate.adoption.mailing import Mailing
    from populate.adoption.report import Report
    from populate.check import Problem
    from populate.conversation.asking import Round
    from populate.conversation.ledger import Ledger
    from populate.duplicates.find import Found
    from populate.who.analyses import Analysis
    from populate.who.asker import Asker
    from populate.who.together import Collaborator
    from populate.who.whom import Suggestion

Link = str | PathLike[str]


def read(url: Link, *, version: str | None = None, as_of: datetime | str | None = None) -> Path:
    """Return a read-only local path with the bytes behind a shared link, and note down who read them.

    Parameters
    ----------
    url
        A path, ``file://``, ``https://`` or ``s3://`` link, or whatever an installed reader
        understands. A folder is read as a file set: the path returned is a folder.
    version
        ``sha256:`` and 64 hex digits, or as many as are unique among the file's versions:
        exactly these bytes, from the backup if the source has moved on.
    as_of
        A moment, as a datetime or ISO text (UTC unless it says otherwise): the version that
        was in force then.

    Returns
    -------
    Path
        Keeps the file's own name; valid until the cache evicts it, which takes at least
        ``cache.keep_seconds``.

    Raises
    ------
    UnknownSource, MissingExtra, SourceError
        If the link cannot be read; each is also the fitting built-in.
    VersionUnavailable
        If no such version is known, or its bytes cannot be had any more.
    """
    with at_caller:
        return _read(url, None, "read", version, as_of)


def read_file(path: Link, *, version: str | None = None, as_of: datetime | str | None = None) -> Path:
    """Read a file or folder of this machine or of a mounted share; see `read`."""
    with at_caller:
        return _read(path, "file", "read_file", version, as_of)


def read_http(url: str, *, version: str | None = None, as_of: datetime | str | None = None) -> Path:
    """Read an http(s) link; see `read`."""
    with at_caller:
        return _read(url, "http", "read_http", version, as_of)


def read_s3(url: str, *, version: str | None = None, as_of: datetime | str | None = None) -> Path:
    """Read an ``s3://bucket/key`` link, or a prefix as a file set; see `read`."""
    with at_caller:
        return _read(url, "s3", "read_s3", version, as_of)


def _read(url: Link, kind: str | None, function: str, version: str | None, as_of: datetime | str | None) -> Path:
    if version is None and as_of is None:
        from readers import reading

        return reading.read(url, kind=kind, function=function)
    from data_platform import history

    return history.read(url, kind=kind, version=version, as_of=as_of)


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
    """Have everything that failed tried again at once; return how many ``jobs`` and ``versions`` that are."""
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
    from populate.adopt import adopt as adopt_share

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


def check(*, verify_data: bool = False) -> Iterator[Problem]:
    """Yield what is wrong with the content store: missing or short blobs, and damaged ones if `verify_data`."""
    from populate.check import check as examine
    from populate.pipeline import bind_all
    from populate.store import open_store

    return examine(bind_all(settings()), open_store(settings()), verify_data=verify_data)


def duplicates(kinds: Collection[str] | None = None, *, min_bytes: int = 1, limit: int | None = None) -> Found:
    """Return the files that say the same, over all sources, as they are now.

    Parameters
    ----------
    kinds
        Some of ``exact``, ``stale``, ``diverged``, ``near`` and ``same name``; all of them unless given.
    min_bytes
        Only contents of at least so many bytes.
    limit
        At most so many exact contents, and so many pairs of each other kind.

    Returns
    -------
    Found
        ``copies`` (exact duplicates with owner, origin and evidence), ``totals`` (what all of them
        amount to, in bytes) and ``pairs`` (the other kinds); see `populate.duplicates.find`.

    Raises
    ------
    RestrictionError
        If a kind is unknown.
    DatabaseUnavailable
        If no connection can be had.
    """
    from populate.duplicates.find import ALL_KINDS
    from populate.duplicates.find import duplicates as find
    from populate.pipeline import bind_all

    return find(bind_all(settings()), ALL_KINDS if kinds is None else kinds, min_bytes=min_bytes, limit=limit)


def deploy() -> list[str]:
    """Create what is missing of the schemas and tables, and return the names of the schemas."""
    from populate.pipeline import SCHEMAS, bind_all

    bind_all(settings(), deploy=True)
    return [f"{settings().database.prefix}_{name}" for name, _ in SCHEMAS]


def ask(*, limit: int | None = None, dry_run: bool = False) -> Round:
    """Ask the owners of duplicates by mail whether they still need their copies; each mail goes out at most once.

    Parameters
    ----------
    limit
        Mails to send, at most.
    dry_run
        Send nothing: return what would be sent.

    Raises
    ------
    SettingsError
        If somebody is to be asked and no mail server is set.
    MailUnavailable
        If the mail server does not answer.
    """
    from populate.conversation.asking import ask_due
    from populate.pipeline import bind_all

    return ask_due(bind_all(settings()), settings(), limit=limit, dry_run=dry_run)


def answer(token: str, choice: str) -> str:
    """Answer a question about a duplicate and return the name of whoever was asked; the latest answer counts.

    Parameters
    ----------
    token
        The link in the mail, or what stands after ``token=`` in it.
    choice
        ``keep``, ``canonical`` (mine is the one to use), ``withdraw`` (I will remove it) or ``never`` (do not
        ask again).

    Raises
    ------
    LinkRefused
        If the link is forged, has expired, or is somebody else's.
    AnswerRefused
        If there is no such choice.
    """
    from populate.conversation.answering import answer as add_answer
    from populate.conversation.links import token_in
    from populate.pipeline import bind_all

    return add_answer(bind_all(settings()), settings(), token_in(token), choice).person


def ledger() -> Ledger:
    """Return the bytes that people saved by removing duplicates, by month and department, as anybody may see it."""
    from populate.conversation.ledger import ledger as ledger_of
    from populate.pipeline import bind_all

    return ledger_of(bind_all(settings()))


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


def who(about: Link, *, limit: int = 5) -> list[Suggestion]:
    """Return whom to ask about a file or a kind of data: ranked, each with the reason and the way to them.

    Parameters
    ----------
    about
        A link or path, or words: of names of files, of people and departments, of scripts.
    limit
        People to return, at most.

    Raises
    ------
    DatabaseUnavailable
        If no connection can be had.

    Notes
    -----
    Only files that the caller may know count, and those whose owner lets them be found; of the latter
    no name is told, only how many there are. Whoever left or chose not to be named is not.
    """
    from os import fspath

    from populate.who.link import is_link, item_of, last_part
    from populate.who.whom import about_item, about_text

    question, here = fspath(about), _asker()
    if not is_link(question):
        return about_text(here, question, limit)
    item = item_of(here, question, settings())
    known = about_item(here, item, limit) if item is not None else []
    return known or about_text(here, last_part(question), limit)


def collaborators(person: str = "", *, new: bool = False, limit: int = 10) -> list[Collaborator]:
    """Return who works on the same data as a person: ranked, each with the reason.

    Parameters
    ----------
    person
        Login or full name; the caller unless given.
    new
        Leave out those who exchange files with the person already.

    Raises
    ------
    RestrictionError
        If nobody is called so, or several people are.
    """
    from populate.who.asker import find_colleague, oneself
    from populate.who.together import collaborators_of

    here = _asker()
    return collaborators_of(here, find_colleague(here, person) if person else oneself(here), limit, new)


def similar_analyses(execution: str, *, limit: int = 10) -> list[Analysis]:
    """Return the runs that read most of what a run read: ranked, each with the reason.

    Parameters
    ----------
    execution
        ``execution_id`` of a run of one's own, or of another that one may know.

    Raises
    ------
    RestrictionError
        If there is no such run, or it may not be known.
    """
    from populate.who.analyses import similar_to

    return similar_to(_asker(), execution, limit)


def asked(person: str, outcome: str = "") -> str:
    """Record that the caller asked a colleague, or what came of it, and return the id of the ask.

    Parameters
    ----------
    person
        Login or full name.
    outcome
        Empty when asking; afterwards ``answered``, ``redirected`` (they named somebody better) or ``silent``.

    Raises
    ------
    RestrictionError
        If nobody is called so, there is no such outcome, or nobody was asked.
    """
    from populate.who.asker import find_colleague
    from populate.who.asks import record_ask, record_outcome

    here = _asker()
    colleague = find_colleague(here, person)
    return record_outcome(here, colleague, outcome) if outcome else record_ask(here, colleague)


def findable(choice: str = "") -> str:
    """Return how far colleagues are pointed to the caller, having changed it if `choice` is given.

    Parameters
    ----------
    choice
        ``closed``: never; ``known``: by files that the colleague may see; ``open``: by how many others fit,
        too, without their names, and by scripts.

    Raises
    ------
    RestrictionError
        If there is no such choice.
    """
    from populate.who.asker import choose, chosen

    here = _asker()
    if choice:
        choose(here, choice)
    return choice or chosen(here)


def saved(hours: float) -> None:
    """Record how many hours this product saved the caller in the last week; below 0 if it cost time.

    Raises
    ------
    RestrictionError
        If a week has not so many hours.
    """
    from populate.adoption.survey import record_hours

    record_hours(_asker(), hours)


def report(month: str = "", to: Link | None = None) -> Path:
    """Write the monthly report of how data is shared and return its path.

    Parameters
    ----------
    month
        As 2026-11; that of the newest snapshot unless given.
    to
        A file that ends in .html or .pdf; by default an HTML file in this folder, named for the month.

    Raises
    ------
    ReportUnavailable
        If there is no snapshot of that month with figures, or the file cannot be written.
    """
    from populate.adoption.writing import write_report

    made = _report(month)
    return write_report(made, Path(f"data-sharing-{made.month:%Y-%m}.html" if to is None else to))


def mail_report(month: str = "") -> Mailing:
    """Send the monthly report to those subscribers who have not been sent it, and return how many mails went out.

    Parameters
    ----------
    month
        As 2026-11; the last one that is over unless given.

    Raises
    ------
    ReportUnavailable
        If there is no snapshot of that month with figures, or the month is not over.
    SettingsError
        If no mail server is set.
    MailUnavailable
        If the mail server does not answer.
    """
    from populate.adoption.mailing import mail_report as send
    from populate.mailing import month_before
    from populate.pipeline import bind_all

    over = month or f"{month_before(datetime.now(UTC).date()):%Y-%m}"
    return send(bind_all(settings()), settings().mail, _report(over))


def subscribe(*, end: bool = False) -> bool:
    """Have the monthly report sent to the caller by mail, or no more; return whether it will be.

    Raises
    ------
    RestrictionError
        If the catalogue does not know the caller.
    """
    from populate.adoption.survey import subscribe as begin
    from populate.adoption.survey import unsubscribe

    (unsubscribe if end else begin)(_asker())
    return not end


def _report(month: str) -> Report:
    from populate.adoption.report import report_of
    from populate.adoption.writing import month_in
    from populate.pipeline import bind_all

    bind_all(settings()).ensure()
    return report_of(month_in(month) if month else None)


def _asker() -> Asker:
    from populate.pipeline import bind_all
    from populate.who.asker import asker

    return asker(bind_all(settings()), settings())
