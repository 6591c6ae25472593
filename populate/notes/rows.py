"""Rows of `schemas.notes`: which hold now, and how one is added.

Rows are added over the asker's own connection, whatever the tables are bound to: a dashboard reads by one
login and enters what people say by another.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, NoReturn

from data_platform.errors import DatabaseError, RestrictionError
from populate.lookup import lookup
from populate.who.asker import Asker, oneself
from schemas.binding import Binding
from schemas.drivers import DRIVER_ERRORS
from schemas.engine import dj
from schemas.identity import display_text

Row = dict[str, Any]


def new_id() -> str:
    """Return a random identity."""
    return secrets.token_hex(16)


def standing(table: Any, ended: Any, **among: Collection[str]) -> list[Row]:
    """Return the rows of a table, of those with these values, that no row of `ended` takes back; oldest key first."""
    names, key = list(table().heading.names), list(table().primary_key)
    rows = [dict(zip(names, row, strict=True)) for row in lookup(table, *names, **among)]
    if not rows:
        return []
    gone = set(lookup(ended, *key, **{key[0]: {row[key[0]] for row in rows}}))
    return sorted(
        (row for row in rows if tuple(row[name] for name in key) not in gone),
        key=lambda row: tuple(row[name] for name in key),
    )


def enter(binding: Binding, table: Any, *rows: Mapping[str, Any]) -> None:
    """Add rows, all with the same attributes.

    Raises
    ------
    DatabaseError
        If the login may not add them.
    """
    if not rows:
        return
    names = list(rows[0])
    quote = binding.connection.adapter.quote_identifier
    marks = ", ".join([f"({', '.join(['%s'] * len(names))})"] * len(rows))
    columns = ", ".join(map(quote, names))
    statement = f"INSERT INTO {table().full_table_name} ({columns}) VALUES {marks}"  # noqa: S608
    binding.ensure()
    try:
        binding.connection.query(statement, args=[row[name] for row in rows for name in names])
    except DatabaseError:
        raise
    except (*DRIVER_ERRORS, dj.DataJointError) as error:
        _refused(error)


def _refused(error: Exception) -> NoReturn:
    raise DatabaseError(
        f"It was not noted down ({type(error).__name__}). See that the login of this process may add what people tell: "
        "it needs the role `answers` or `entries` (docs/how-to/deploy.md)."
    ) from error


def moment(asker: Asker, table: Any, column: str, **among: Collection[str]) -> datetime:
    """Return when the asker adds a row: now, and after what `table` holds, though a minute were asked twice."""
    latest = max((row[0] for row in lookup(table, column, **among)), default=datetime.min)
    return max(asker.now, latest + timedelta(microseconds=1))


def writer(asker: Asker) -> str:
    """Return the id of the person who asks.

    Raises
    ------
    RestrictionError
        If the catalogue does not know them.
    """
    return oneself(asker).person_id


def one_line(text: str, longest: int, what: str) -> str:
    """Return a text in one line, without what a database or a terminal could not bear.

    Raises
    ------
    RestrictionError
        If nothing is left of it, or it is too long.
    """
    made = " ".join(display_text(text).split())
    return _checked("".join(letter for letter in made if letter.isprintable()), longest, what)


def some_lines(text: str, longest: int, what: str) -> str:
    """Return a text with its lines, likewise."""
    lines = ("".join(letter for letter in line if letter.isprintable()) for line in display_text(text).splitlines())
    return _checked("\n".join(lines).strip(), longest, what)


def _checked(text: str, longest: int, what: str) -> str:
    if not text:
        raise RestrictionError(f"{what} is empty. Give it some text.")
    if len(text) > longest:
        raise RestrictionError(f"{what} has {len(text)} characters, over the limit of {longest}. Shorten it.")
    return text
