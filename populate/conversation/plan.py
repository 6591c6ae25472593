"""Who is to be asked what, and when: decided here, carried out in `populate.conversation.asking`.

**Whom.** Of files with the very same bytes (`populate.duplicates.live`) one is the original by
evidence. For each of the others its present owner is the one to ask, because nobody else can
tell whether it is needed, or remove it. So the owner of the original is asked only about
further copies of their own, and nobody at all about a file that no source names an owner of.
One question covers all the copies that a person has of a content, and there is never a second
one about the same bytes, wherever they are and whatever became of the first.

**When.** Largest saving first. A question that is not answered is repeated after each of
``questions.reminder_days``, the delays growing, and then no more. A mail that the server
refused is tried again a day later, three times in all, unless it was refused for good.
Nobody gets more than ``questions.mails_per_day`` in 24 hours.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from data_platform.settings import QuestionSettings
from populate.conversation.questions import question_id
from populate.duplicates.live import Copy

DAY = timedelta(days=1)
TRIES = 3
SENT, REFUSED, REFUSED_FOR_GOOD, UNKNOWN = "sent", "refused", "refused for good", "unknown"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A person who may be asked about their copies of a content.

    Attributes
    ----------
    question_id, person_id, full_name, sha256
        Who, and about what.
    size
        Bytes of the content.
    copies
        Theirs, without the original.
    others
        Everybody else's, and the original.
    """

    question_id: str
    person_id: str
    full_name: str
    sha256: str
    size: int
    copies: tuple[Copy, ...]
    others: tuple[Copy, ...]

    @property
    def saving(self) -> int:
        """Bytes of their copies."""
        return self.size * len(self.copies)


class Mail(NamedTuple):
    """A mail about a question, and what became of it."""

    question_id: str
    person_id: str
    round: int
    attempt: int
    begun_at: datetime
    state: str  # sent | refused | refused for good | unknown


class Due(NamedTuple):
    """A mail that is to be sent now."""

    candidate: Candidate
    address: str
    round: int
    attempt: int


class Known(NamedTuple):
    """What decides who is asked: mails so far, answered questions, reasons to leave people alone, addresses.

    ``asked_as_another`` has person and content of questions that people got when they passed for somebody else.
    """

    mails: Sequence[Mail]
    answered: frozenset[str]
    silent: Mapping[str, str]
    addresses: Mapping[str, str]
    asked_as_another: frozenset[tuple[str, str]] = frozenset()


class Plan(NamedTuple):
    """The mails that are due, and how many questions are left out for which reason."""

    due: list[Due]
    left_out: Counter[str]


def candidates(copies: Iterable[Copy]) -> list[Candidate]:
    """Return everybody who owns copies, content by content, the largest saving first."""
    by_content: defaultdict[str, list[Copy]] = defaultdict(list)
    for copy in copies:
        by_content[copy.sha256].append(copy)
    found = [candidate for held in by_content.values() for candidate in _of_one_content(held)]
    return sorted(found, key=lambda candidate: (-candidate.saving, candidate.question_id))


def _of_one_content(held: Sequence[Copy]) -> Iterator[Candidate]:
    owners = {
        copy.owner.person_id: copy.owner.full_name for copy in held if copy.owner.person_id and not copy.is_origin
    }
    for person, name in owners.items():
        theirs = tuple(copy for copy in held if copy.owner.person_id == person and not copy.is_origin)
        others = tuple(copy for copy in held if copy not in theirs)
        sha256, size = held[0].sha256, held[0].size
        yield Candidate(question_id(person, sha256), person, name, sha256, size, theirs, others)


def plan(found: Iterable[Candidate], known: Known, settings: QuestionSettings, now: datetime) -> Plan:
    """Decide which mails to send now; the same facts give the same plan."""
    history: defaultdict[str, list[Mail]] = defaultdict(list)
    recent: Counter[str] = Counter()
    for mail in known.mails:
        history[mail.question_id].append(mail)
        recent[mail.person_id] += mail.begun_at > now - DAY and mail.state in (SENT, UNKNOWN)
    due: list[Due] = []
    left_out: Counter[str] = Counter()
    for candidate in found:
        if candidate.saving < settings.min_bytes:
            left_out["too small"] += 1
            continue
        following = next_mail(history[candidate.question_id], settings.reminder_days, now)
        if reason := _reason(candidate, known, following):
            left_out[reason] += 1
        elif recent[candidate.person_id] >= settings.mails_per_day:
            left_out["enough mail for today"] += 1
        elif isinstance(following, tuple):
            recent[candidate.person_id] += 1
            due.append(Due(candidate, known.addresses[candidate.person_id], *following))
    return Plan(due, left_out)


def _reason(candidate: Candidate, known: Known, following: tuple[int, int] | str) -> str:
    """Return why a candidate is not asked now, or nothing."""
    if candidate.question_id in known.answered:
        return "answered"
    if reason := known.silent.get(candidate.person_id):
        return reason
    if (candidate.person_id, candidate.sha256) in known.asked_as_another:
        return "asked before"
    if isinstance(following, str):
        return following
    return "" if candidate.person_id in known.addresses else "no mail address"


def next_mail(mails: Sequence[Mail], reminder_days: Sequence[int], now: datetime) -> tuple[int, int] | str:
    """Return round and attempt of the mail that is due about a question, or why there is none."""
    if not mails:
        return 1, 1
    last = max(mails, key=lambda mail: (mail.round, mail.attempt))
    if last.state == REFUSED_FOR_GOOD or (last.state == REFUSED and last.attempt >= TRIES):
        return "mail refused"
    if last.state == REFUSED:
        return (last.round, last.attempt + 1) if now >= last.begun_at + DAY else "asked before"
    if last.round > len(reminder_days):
        return "asked often enough"
    later = last.begun_at + timedelta(days=reminder_days[last.round - 1])
    return (last.round + 1, 1) if now >= later else "asked before"
