"""Whom to ask, what people tell, and the monthly report about all of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from data_platform.links import Link
from data_platform.settings import settings

if TYPE_CHECKING:
    from populate.adoption.mailing import Mailing
    from populate.adoption.report import Report
    from populate.who.analyses import Analysis
    from populate.who.asker import Asker
    from populate.who.together import Collaborator
    from populate.who.whom import Suggestion


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
