"""Whom people asked and what came of it: keeps the load spread, and prefers whoever answers.

A colleague's rank is multiplied by::

    (0.5 + (answered + 1) / (told + 2)) / (1 + recent / 5)

``told`` counts asks of the last `YEAR_DAYS` whose outcome the asker told, ``answered`` those of them
that were answered or redirected (Laplace's rule: nobody is judged by one silence), and ``recent``
all asks of the last `RECENT_DAYS`. Whoever was never asked is at 1. The figures are never shown:
they are about single people.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Collection
from datetime import timedelta

from data_platform.errors import RestrictionError
from populate.lookup import lookup
from populate.who.asker import Asker, Colleague, oneself
from schemas.asking import Ask, AskOutcome
from schemas.restrict import where

YEAR_DAYS = 365
RECENT_DAYS = 30
PATIENCE = 5
"""So many recent asks halve somebody's rank."""

RESULTS = ("answered", "redirected", "silent")


def answer_rate(answered: int, told: int) -> float:
    """Return the share of asks that are answered, by Laplace's rule: 1/2 before anything is known."""
    return (answered + 1) / (told + 2)


def willingness(asker: Asker, people: Collection[str]) -> dict[str, float]:
    """Return the factor of each of `people`; see the module."""
    asks = lookup(Ask, "ask_id", "asked_id", "asked_at", asked_id=set(people))
    asks = [ask for ask in asks if asker.now - timedelta(days=YEAR_DAYS) < ask[2] <= asker.now]
    results = dict(lookup(AskOutcome, "ask_id", "ask_result", ask_id={ask[0] for ask in asks}))
    recent = Counter(person for _, person, at in asks if at > asker.now - timedelta(days=RECENT_DAYS))
    told = Counter(person for ask_id, person, _ in asks if ask_id in results)
    answered = Counter(person for ask_id, person, _ in asks if results.get(ask_id, "silent") != "silent")
    return {p: (0.5 + answer_rate(answered[p], told[p])) / (1 + recent[p] / PATIENCE) for p in people}


def record_ask(asker: Asker, colleague: Colleague) -> str:
    """Record that the asker has asked a colleague; return the id of the ask.

    Raises
    ------
    RestrictionError
        If the catalogue does not know the asker, or they are the same.
    """
    if oneself(asker).person_id == colleague.person_id:
        raise RestrictionError("That is you. Name a colleague.")
    ask_id = secrets.token_hex(16)
    people = {"asker_id": asker.person_id, "asked_id": colleague.person_id}
    Ask.insert1({"ask_id": ask_id, **people, "asked_at": asker.now})
    return ask_id


def record_outcome(asker: Asker, colleague: Colleague, result: str) -> str:
    """Record what came of the asker's latest ask of a colleague that has no outcome yet; return its id.

    Raises
    ------
    RestrictionError
        If there is no such result, or no such ask.
    """
    if result not in RESULTS:
        raise RestrictionError(f"{result!r} is no outcome. Use one of {', '.join(RESULTS)}.")
    own = where(Ask, asker_id=asker.person_id, asked_id=colleague.person_id) - AskOutcome
    asks = [row for row in own.to_dicts() if row["asked_at"] <= asker.now]
    if not asks:
        raise RestrictionError(f"You have not asked {colleague.name}, or told already what came of it.")
    latest = max(asks, key=lambda row: (row["asked_at"], row["ask_id"]))["ask_id"]
    AskOutcome.insert1({"ask_id": latest, "ask_result": result, "told_at": asker.now})
    return str(latest)
