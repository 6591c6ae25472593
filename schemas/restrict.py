"""The one door for restrictions with values from outside.

DataJoint 2.3.5 puts list and dict values into SQL without escaping them, calls ``str()`` on
any object, takes a misspelt attribute for "all rows", and never matches a backslash on
PostgreSQL. `where` refuses the first three and mends the last.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from typing import Any

from data_platform.errors import RestrictionError

Scalar = str | int | float | bool | dt.date | dt.datetime | None


class _Literal:
    """A finished SQL literal. DataJoint inserts the text of a type that it does not know as it is."""

    def __init__(self, sql: str) -> None:
        self._sql = sql.replace("%", "%%")  # the driver reads % as the beginning of a parameter

    def __str__(self) -> str:
        return self._sql


def where(table: Any, /, **values: Scalar) -> Any:
    """Return the rows of a table whose attributes have these values.

    Parameters
    ----------
    table
        A table or any query expression.
    **values
        One or more conditions, all of which have to hold. A value has to be of its
        attribute's kind: text, number, truth value, date, or time. Times are UTC; those with
        a zone are converted. None finds rows without a value. Case and accents count; blanks
        at the end of a ``char(n)`` are not seen.

    Raises
    ------
    RestrictionError
        If there is no condition, an attribute is unknown, or a value is anything else than
        a scalar of the attribute's kind.

    Examples
    --------
    >>> where(File, source_system="nfs:filer/export", item_id=r"C:\\data\\100%.csv")  # doctest: +SKIP
    """
    expression = table() if isinstance(table, type) else table
    if not values:
        raise RestrictionError(
            "A restriction needs at least one condition. Name an attribute, or use the table itself."
        )
    heading = expression.heading
    unknown = [name for name in values if name not in heading.names]
    if unknown:
        raise RestrictionError(f"No attribute {', '.join(unknown)}. There are: {', '.join(heading.names)}.")
    quote = _quoted if expression.connection.adapter.backend == "postgresql" else _quoted_for_mysql
    literals = {
        name: None if value is None else _literal(name, heading[name], value, quote) for name, value in values.items()
    }
    return expression.restrict(literals)


def _literal(name: str, attribute: Any, value: object, quote: Callable[[str], str]) -> _Literal:
    wanted = _kind_of(attribute)
    for types, kind, render in _VALUES:
        if isinstance(value, types):
            if wanted not in ("expression", kind):
                raise RestrictionError(
                    f"{name} takes a {wanted}, not a {type(value).__name__}. Convert the value first."
                )
            return _Literal(render(name, value, quote))
    raise RestrictionError(
        f"{name} cannot be compared with a {type(value).__name__}. Use str, int, float, bool, date, datetime or None."
    )


def _kind_of(attribute: Any) -> str:
    """Return which kind of value an attribute can be compared with."""
    declared = str(attribute.original_type or attribute.type).lower()
    for beginning, kind in _ATTRIBUTES.items():
        if declared.startswith(beginning):
            return kind
    return "number" if attribute.numeric else "None"


# Longer beginnings stand before shorter ones; "expression" is what a projection or an aggregation computes.
_ATTRIBUTES = {
    "expression": "expression",
    "bool": "truth value",
    "datetime": "time",
    "timestamp": "time",
    "date": "date",
    "varchar": "text",
    "char": "text",
    "enum": "text",
    "float": "number",  # DataJoint takes these for numbers on MySQL only
    "double": "number",
    "real": "number",
}


# The methods of the built-in types are called, never those of a subclass, which could say anything.


def _quoted(text: str) -> str:
    return "E" + _quoted_for_mysql(text)  # whatever the server is set to, a backslash escapes in E'…'


def _quoted_for_mysql(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _text(name: str, value: Any, quote: Callable[[str], str]) -> str:
    text = str.__str__(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RestrictionError(f"{name} has a lone surrogate. Use schemas.identity.display_text.") from None
    if "\x00" in text:
        raise RestrictionError(f"{name} has a NUL, which no database stores. Use schemas.identity.display_text.")
    return quote(text)


def _truth(name: str, value: Any, quote: Callable[[str], str]) -> str:
    return "TRUE" if value is True else "FALSE"  # bool has no subclasses


def _integer(name: str, value: Any, quote: Callable[[str], str]) -> str:
    number = int.__int__(value)
    if not -(2**63) <= number < 2**63:
        raise RestrictionError(f"{name} is beyond 64 bits, which no attribute holds. Use a smaller number.")
    return str(number)


def _float(name: str, value: Any, quote: Callable[[str], str]) -> str:
    number = float.__float__(value)
    if not math.isfinite(number):
        raise RestrictionError(f"{name} is {number}, which equals nothing. Use a finite number.")
    exact = number.is_integer() and abs(number) < 2**63  # its shortest form is rounded, and compared as a decimal
    return str(int(number)) if exact else repr(number)


def _time(name: str, value: Any, quote: Callable[[str], str]) -> str:
    if value != value:  # noqa: PLR0124  (pandas.NaT is a datetime by its type)
        raise RestrictionError(f"{name} is not a time. Use None to find rows without one.")
    if dt.datetime.utcoffset(value) is not None:
        value = dt.datetime.astimezone(value, dt.UTC)
    naive = dt.datetime.replace(value, tzinfo=None)
    return quote(dt.datetime.isoformat(naive, " ", "microseconds"))


def _date(name: str, value: Any, quote: Callable[[str], str]) -> str:
    return quote(dt.date.isoformat(value))


# Subclasses stand before their bases.
_VALUES: tuple[tuple[type, str, Callable[[str, Any, Callable[[str], str]], str]], ...] = (
    (str, "text", _text),
    (bool, "truth value", _truth),
    (int, "number", _integer),
    (float, "number", _float),
    (dt.datetime, "time", _time),
    (dt.date, "date", _date),
)
