"""Shows a question to whoever holds its link, and adds what they answer.

Looking records nothing: mail programs and scanners follow links. Adding is one INSERT into one
table. A dashboard that must not write connects for that with a login of the role ``answers``,
which may do this and nothing else (``questions.user``); without one the process's own is used.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from data_platform.errors import AnswerRefused, DatabaseError, LinkRefused
from data_platform.settings import Settings
from populate.conversation.links import link_of, signing_key
from populate.conversation.people import unnamed
from populate.conversation.statements import ask
from populate.conversation.wording import Told, told
from populate.duplicates.live import exact_duplicates
from populate.duplicates.rows import names_of
from readers.event import new_event_id
from schemas.binding import Binding
from schemas.conversation import ANSWERS, Answer
from schemas.drivers import DRIVER_ERRORS, MySQL, PostgreSQL, target
from schemas.engine import dj

_COLUMNS = ("answer_id", "question_id", "answer", "answered_at", "answered_by")


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer that was added."""

    question_id: str
    person: str
    answer: str


class _Question(NamedTuple):
    question_id: str
    person_id: str
    person: str
    sha256: str
    size: int
    answer: str


def question_of(
    binding: Binding, settings: Settings, token: str, *, viewer: str = "", now: datetime | None = None
) -> Told:
    """Return the question that a link is about, as its recipient may see it. Nothing is recorded.

    Parameters
    ----------
    viewer
        Address that whoever looks has signed in with, if that is known.
    now
        UTC; the time of the machine unless given.

    Raises
    ------
    LinkRefused
        If the link is forged, has expired, or is somebody else's.
    SettingsError
        If links cannot be checked here.
    """
    found = _checked(binding, settings, token, viewer, now)
    files = [file for (file,) in ask(binding, "copies", questions=[found.question_id])]
    names = names_of(binding.connection, files)
    paths = [path or name for name, path in (names.get(file, ("", file)) for file in files)]
    copies = exact_duplicates(binding, contents=[found.sha256], person_id=found.person_id)
    others = [copy for copy in copies if copy.owner.person_id != found.person_id]
    owners = {copy.owner.person_id for copy in others}
    hidden = unnamed(binding, owners, now or datetime.now(UTC).replace(tzinfo=None))
    return told(found.person, found.size, paths, others, found.answer, unnamed=hidden)


def answer(
    binding: Binding,
    settings: Settings,
    token: str,
    choice: str,
    *,
    by: str = "python",
    viewer: str = "",
    now: datetime | None = None,
) -> Answered:
    """Add an answer to the question that a link is about; the latest one counts.

    Parameters
    ----------
    choice
        ``keep``, ``canonical``, ``withdraw`` or ``never``.
    by
        The way it came: ``link``, ``command`` or ``python``.
    viewer, now
        As in `question_of`.

    Raises
    ------
    LinkRefused
        If the link is forged, has expired, or is somebody else's.
    AnswerRefused
        If there is no such choice.
    SettingsError
        If links cannot be checked here.
    DatabaseError
        If the login may not add answers.
    """
    if choice not in ANSWERS:
        raise AnswerRefused(f"{choice[:40]!r} is no answer. Use one of {', '.join(ANSWERS)}.")
    found = _checked(binding, settings, token, viewer, now)
    answered_at = now or datetime.now(UTC).replace(tzinfo=None)
    _insert(binding, settings, (new_event_id(), found.question_id, choice, answered_at, by[:16]))
    return Answered(found.question_id, found.person, choice)


def _checked(binding: Binding, settings: Settings, token: str, viewer: str, now: datetime | None) -> _Question:
    """Return the question that a good link is about."""
    link = link_of(token, signing_key(settings), now or datetime.now(UTC).replace(tzinfo=None))
    binding.ensure()
    rows = ask(binding, "question", questions=[link.question_id])
    if not rows or rows[0][0] != link.person_id:
        raise LinkRefused("There is no such question in this catalogue. Open the link as it stands in the mail.")
    found = _Question(link.question_id, *rows[0])
    if viewer and viewer.casefold() not in _names(binding, found.person_id):
        raise LinkRefused("This question is for somebody else. Sign in as the person whom the mail was sent to.")
    return found


def _names(binding: Binding, person: str) -> set[str]:
    """Return what a person may have signed in as."""
    rows = ask(binding, "logins", people=[person])
    rows += ask(binding, "told_addresses", people=[person], today=datetime.now(UTC).date())
    return {name.casefold() for _, name in rows}


def _insert(binding: Binding, settings: Settings, row: tuple[object, ...]) -> None:
    table = Answer().full_table_name
    statement = f"INSERT INTO {table} ({', '.join(_COLUMNS)}) VALUES (%s, %s, %s, %s, %s)"  # noqa: S608
    adapter = PostgreSQL() if binding.backend == "postgresql" else MySQL()
    login = {"user": settings.questions.user, "password": settings.questions.password}
    own = settings.database.backend == "embedded" or not settings.questions.user
    try:
        if own:
            binding.connection.query(statement, row)
            return
        with closing(adapter.open(target(settings.database.model_copy(update=login)))) as connection:
            connection.cursor().execute(statement, row)
    except DatabaseError:
        raise
    except (*DRIVER_ERRORS, dj.DataJointError, OSError) as error:
        raise DatabaseError(
            f"The answer was not added ({type(error).__name__}). See that the settings questions.user and "
            "questions.password are those of a login with the role `answers`, and try again."
        ) from None
