"""Which of many rows are there already: one statement, whatever their number."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any


def lookup(table: Any, *columns: str, **among: Collection[str]) -> list[tuple[Any, ...]]:
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
    query = table()
    if unknown := [name for name in (*columns, *among) if name not in query.heading.names]:
        raise ValueError(f"{table.__name__} has no attribute {', '.join(unknown)}")
    if not all(among.values()):
        return []
    quote = query.adapter.quote_identifier
    conditions = [f"{quote(name)} IN ({', '.join(['%s'] * len(values))})" for name, values in among.items()]
    statement = f"SELECT {', '.join(map(quote, columns))} FROM {query.full_table_name} WHERE {' AND '.join(conditions)}"  # noqa: S608
    arguments = [value for values in among.values() for value in values]
    return list(query.connection.query(statement, args=arguments).fetchall())
