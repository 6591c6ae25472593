"""Many rows at once: which are there already, and adding those that are not; one statement each."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson

from schemas.engine import dj


def lookup(table: Any, *columns: str, **among: Collection[str] | Collection[int]) -> list[tuple[Any, ...]]:
    """Return `columns` of the rows of `table` whose attributes are among the values given.

    A dict restriction for each value would make DataJoint build, and the database parse, a
    condition of a thousand branches; and values never become part of the statement here.

    Parameters
    ----------
    table
        A table class, bound.
    columns
        Attributes to return, in this order.
    among
        For each attribute, the values that it may have; no value means no row.
    """
    query = _checked(table, (*columns, *among))
    if not all(among.values()):
        return []
    quote = query.adapter.quote_identifier
    conditions = [f"{quote(name)} IN ({', '.join(['%s'] * len(values))})" for name, values in among.items()]
    statement = f"SELECT {', '.join(map(quote, columns))} FROM {query.full_table_name} WHERE {' AND '.join(conditions)}"  # noqa: S608
    arguments = [value for values in among.values() for value in values]
    return list(query.connection.query(statement, args=arguments).fetchall())


def as_text(query: Any, *columns: str) -> str:
    """Return `columns` of the rows of a query, in the order of its key, as one text that `from_text` takes apart.

    For what a computed table fetches: DataJoint fetches it twice and compares a hash of each value, which for
    thousands of them, and their decoding one by one, takes longer than the database does.

    Parameters
    ----------
    query
        A query of DataJoint's.
    columns
        Attributes of texts and whole numbers.
    """
    chosen = query.proj(*columns)
    places = [chosen.heading.names.index(name) for name in columns]
    rows = (chosen & dj.Top(limit=None, order_by="KEY")).cursor().fetchall()
    return json.dumps([[row[place] for place in places] for row in rows])


def from_text(text: str) -> list[list[Any]]:
    """Return the rows of what `as_text` returned."""
    rows: list[list[Any]] = json.loads(text)
    return rows


def add(table: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert those of `rows` whose key is not there yet.

    DataJoint's own insert looks up the heading anew for each value, which is most of the
    time that an ingest takes.

    Parameters
    ----------
    table
        A table class, bound.
    rows
        All with the same attributes; texts, whole numbers, truth values, dates and times.
    """
    if not rows:
        return
    names = list(rows[0])
    query = _checked(table, names)
    given = _as_json if query.adapter.backend == "postgresql" else _as_values
    source, arguments = given(query, names, rows)
    columns = ", ".join(map(query.adapter.quote_identifier, names))
    skip = query.adapter.skip_duplicates_clause(query.full_table_name, query.primary_key)
    statement = f"INSERT INTO {query.full_table_name} ({columns}) {source}{skip}"
    query.connection.query(statement, args=arguments)


def _as_json(query: Any, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> tuple[str, list[Any]]:
    """Return rows as one text: to put thousands of values into a statement, and to parse it, costs more than that."""
    columns = ", ".join(map(query.adapter.quote_identifier, names))
    source = f"SELECT {columns} FROM json_populate_recordset(NULL::{query.full_table_name}, %s)"  # noqa: S608
    return source, [orjson.dumps([{name: row[name] for name in names} for row in rows]).decode()]


def _as_values(query: Any, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> tuple[str, list[Any]]:
    marks = ", ".join([f"({', '.join(['%s'] * len(names))})"] * len(rows))
    return f"VALUES {marks}", [row[name] for row in rows for name in names]


def unknown(table: Any, rows: Sequence[dict[str, Any]], *columns: str) -> list[dict[str, Any]]:
    """Return those of `rows` that `table` does not hold yet.

    Most of what is read is known already, and asking is cheaper than inserting in vain: it
    takes no lock (on MySQL every vain insert takes one, so that workers would queue for
    the one row of a busy source system).
    """
    key = table().primary_key
    known = set(lookup(table, *key, **{name: {row[name] for row in rows} for name in columns}))
    return [row for row in rows if tuple(row[name] for name in key) not in known]


def _checked(table: Any, names: Collection[str]) -> Any:
    query = table()
    if unknown := [name for name in names if name not in query.heading.names]:
        raise ValueError(f"{table.__name__} has no attribute {', '.join(unknown)}")
    return query
