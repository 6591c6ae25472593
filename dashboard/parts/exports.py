"""Tables as files to take away: CSV that no spreadsheet takes for formulas, and Parquet."""

from __future__ import annotations

from io import BytesIO

import pandas as pd

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\N{FULLWIDTH EQUALS SIGN}", "\N{FULLWIDTH PLUS SIGN}",
           "\N{FULLWIDTH HYPHEN-MINUS}", "\N{FULLWIDTH COMMERCIAL AT}")  # fmt: skip
"""What spreadsheets begin a formula with, also behind blanks."""


def harmless(value: object) -> object:
    """Return a text so that no spreadsheet takes it for a formula: with an apostrophe before it; else the value."""
    if isinstance(value, list | tuple | set):
        value = ", ".join(map(str, value))
    if not isinstance(value, str):
        return value
    risky = value.startswith(FORMULA) or value.lstrip().startswith(FORMULA)
    return f"'{value}" if risky else value


def csv_of(frame: pd.DataFrame) -> bytes:
    """Return a table as CSV, in UTF-8 with a mark by which spreadsheets know that it is."""
    shown = frame.map(harmless).rename(columns=harmless)
    return shown.to_csv(index=False, lineterminator="\r\n").encode("utf-8-sig", "backslashreplace")


def parquet_of(frame: pd.DataFrame) -> bytes:
    """Return a table as Parquet, values as they are."""
    to = BytesIO()
    frame.to_parquet(to, index=False)
    return to.getvalue()
