"""Recalling data that are wrong, and taking note of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_platform.links import Link
from data_platform.settings import settings

if TYPE_CHECKING:
    from populate.recall.looking import Recalled
    from populate.recall.telling import Told
    from populate.who.asker import Asker


def recall(about: Link, reason: str, *, version: str = "", right: str = "") -> str:
    """Mark a version of a file of the caller's wrong, and return the id of the recall.

    Everybody who read those bytes, has a copy, or read what was made of them gets a notice, and whoever reads them
    from now on a warning. For an owner who has left the manager whom they had does it, or a steward.

    Parameters
    ----------
    about
        A link or path to the file.
    reason
        What is wrong, in words that everybody whom it concerns may read.
    version
        ``sha256:`` and at least 8 digits of the hash; the version that was read last unless given.
    right
        The version of the same file to use instead, likewise; none unless given.

    Raises
    ------
    RecallRefused
        If the caller does not own the file, nothing is known of it, or it is recalled already.
    """
    from os import fspath

    from populate.notes.about import is_steward
    from populate.recall.making import recall as mark
    from populate.recall.making import version_of

    here, link = _asker(), fspath(about)
    file_id, wrong = version_of(here, link, settings(), version)
    instead = version_of(here, link, settings(), right)[1] if right else ""
    return mark(here, file_id, wrong, reason, instead, steward=is_steward(here, settings()))


def end_recall(recall_id: str) -> str:
    """Take back a recall that the caller made, and return its id; nobody is warned by it any more.

    Raises
    ------
    RecallRefused
        If the caller made no such recall, or has taken it back.
    """
    from populate.recall.making import end

    return end(_asker(), recall_id)


def recalls() -> list[Recalled]:
    """Return the recalls that the caller made and those that concern them, the latest first.

    What the caller may not know is not told: not the name, the owner or the versions of a file of which they only
    read a copy or a result. Notices are raised by a worker or scheduler, within a minute.
    """
    from populate.recall.looking import recalls_of

    return recalls_of(_asker())


def acknowledge(recall_id: str) -> str:
    """Tell that the caller has taken note of a recall, and return its id; again changes nothing.

    Parameters
    ----------
    recall_id
        Its first 8 digits or more.

    Raises
    ------
    RecallRefused
        If no such recall concerns the caller.
    """
    from populate.recall.making import acknowledge as note

    return note(_asker(), recall_id)


def mail_recalls() -> Told:
    """Tell whom recalls concern by mail, each person at most once of each recall; return how many mails went out.

    Raises
    ------
    SettingsError
        If somebody is to be told and no mail server is set.
    MailUnavailable
        If the mail server does not answer.
    """
    from populate.pipeline import bind_all
    from populate.recall.telling import tell_due

    return tell_due(bind_all(settings()), settings())


def _asker() -> Asker:
    from populate.pipeline import bind_all
    from populate.who.asker import asker

    return asker(bind_all(settings()), settings())
