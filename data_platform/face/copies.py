"""Duplicates, and the questions about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_platform.settings import settings

if TYPE_CHECKING:
    from collections.abc import Collection

    from populate.conversation.asking import Round
    from populate.conversation.ledger import Ledger
    from populate.duplicates.find import Found


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
