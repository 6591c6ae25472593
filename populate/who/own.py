"""What one's own data are used for, what one was asked and asked others, and everything that is stored about one."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import PurePosixPath
from typing import Any

from populate.lookup import lookup
from populate.who.asker import Asker, Colleague
from populate.who.whom import printable
from schemas import declared
from schemas.asking import Ask, AskOutcome
from schemas.binding import Schemas
from schemas.conversation import Answer
from schemas.restrict import where

MOST = 2000
"""Uses of one's files that are told, the latest first."""

MOST_ROWS = 100_000
"""Rows of a table that are handed out."""

SOMEBODY = "somebody else"
_REFERENCE = re.compile(r"->\s*(?:\[\w+\]\s*)?(?:Person|Account)\b(?:\.proj\((\w+)=)?")
_ALSO = ("person_id", "account_id", "entered_by", "entry_manager", "hold_owner", "run_account_id")
_OWN = ("ask_id", "question_id", "note_id", "collection_id", "saved_search_id", "execution_id")
"""Keys of what belongs to one: rows of other tables that have them belong to it."""


@dataclass(frozen=True, slots=True)
class Use:
    """Somebody used a file of the asker's.

    Attributes
    ----------
    reader, department
        Empty if they are not to be named.
    analysis
        Script or program that read it; empty if that is not known.
    """

    file_id: str
    name: str
    person_id: str
    reader: str
    department: str
    analysis: str
    reads: int
    last_on: date


def receipts(asker: Asker) -> list[Use]:
    """Return who uses the asker's files, and by which analyses, the latest first."""
    if not asker.person_id:
        return []
    rows = asker.ask("receipts", most=MOST)
    people = asker.colleagues({row[2] for row in rows})
    unnamed = Colleague("", "", "", "")
    return [
        Use(
            file_id,
            printable(name),
            people.get(person, unnamed).person_id,
            printable(people.get(person, unnamed).name),
            people.get(person, unnamed).department,
            printable(PurePosixPath(script).name),
            int(reads),
            last_on,
        )
        for file_id, name, person, script, reads, last_on in rows
    ]


@dataclass(frozen=True, slots=True)
class OwnQuestion:
    """A question about copies that the asker was asked; `answer` is their last one, or empty."""

    question_id: str
    person_id: str
    raised_at: datetime
    answer: str


def questions_to(asker: Asker) -> list[OwnQuestion]:
    """Return what the asker was asked, what is still open first."""
    from populate.conversation.questions import Question

    people = {asker.person_id, *asker.accounts} - {""}
    rows = lookup(Question, "question_id", "person_id", "raised_at", person_id=people)
    answers: dict[str, str] = {}
    told = lookup(Answer, "answered_at", "answer_id", "question_id", "answer", question_id={row[0] for row in rows})
    for _, _, question, answer in sorted(told):
        answers[question] = answer
    found = [OwnQuestion(question, person, at, answers.get(question, "")) for question, person, at in rows]
    return sorted(found, key=lambda one: (bool(one.answer), one.raised_at, one.question_id))


def open_asks(asker: Asker) -> list[tuple[Colleague, datetime]]:
    """Return whom the asker has asked and not told yet what came of it, the latest first."""
    if not asker.person_id:
        return []
    rows = (where(Ask, asker_id=asker.person_id) - AskOutcome).to_dicts()
    people = asker.colleagues({row["asked_id"] for row in rows})
    latest: dict[str, datetime] = {}
    for row in sorted(rows, key=lambda row: row["asked_at"]):
        latest[row["asked_id"]] = row["asked_at"]
    found = [(people[person], at) for person, at in latest.items() if person in people]
    return sorted(found, key=lambda one: one[1], reverse=True)


def stored_about(asker: Asker, schemas: Schemas) -> Iterator[tuple[str, list[str], list[tuple[Any, ...]]]]:
    """Yield everything that is stored about the asker: table, its columns, and rows.

    Of each table that refers to people or logins those rows that refer to the asker, and the rows that belong to
    these. Others who stand in the same row are not told.
    """
    tables = [(name, table) for name, schema in schemas for table in declared.tables(schema)]
    people = set(_ALSO).union(*({found for found in _REFERENCE.findall(_definition(t)) if found} for _, t in tables))
    mine = tuple(sorted({asker.person_id, *asker.accounts} - {""}))
    own: dict[str, set[str]] = {name: set() for name in _OWN}
    later = []
    for name, table in tables:
        names = list(table().heading.names)
        if among := [column for column in names if column in people]:
            rows = _rows(table, names, among, mine)
            for key in [key for key in _OWN if key in table().primary_key]:
                own[key].update(str(row[names.index(key)]) for row in rows)
            if rows:
                yield f"{name}.{table.__name__}", names, [_masked(row, names, people, set(mine)) for row in rows]
        elif among := [column for column in names if column in _OWN]:
            later.append((name, table, names, among[:1]))
    for name, table, names, among in later:
        if rows := _rows(table, names, among, tuple(sorted(own[among[0]]))):
            yield f"{name}.{table.__name__}", names, rows


def _definition(table: Any) -> str:
    return str(getattr(table, "definition", "") or "")


def _rows(table: Any, names: list[str], among: list[str], values: tuple[str, ...]) -> list[tuple[Any, ...]]:
    if not values:
        return []
    quote = table().adapter.quote_identifier
    condition = " OR ".join(f"{quote(column)} IN %(values)s" for column in among)
    statement = f"SELECT {', '.join(map(quote, names))} FROM {table().full_table_name} WHERE {condition} LIMIT %(most)s"  # noqa: S608
    return list(table().connection.query(statement, {"values": values, "most": MOST_ROWS}).fetchall())


def _masked(row: tuple[Any, ...], names: list[str], people: Collection[str], mine: set[str]) -> tuple[Any, ...]:
    return tuple(
        SOMEBODY if name in people and value not in (*mine, None, "") else value
        for name, value in zip(names, row, strict=True)
    )
