"""Rows of a statement as a pandas frame."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from schemas.binding import Binding


def rows(binding: Binding, sql: str, values: Mapping[str, object]) -> pd.DataFrame:
    """Run a statement and return its rows; the columns are there even without rows."""
    binding.ensure()
    cursor = binding.connection.query(sql, values)
    columns = [column[0] for column in cursor.description]
    return pd.DataFrame(cursor.fetchall(), columns=columns)


def number(binding: Binding, sql: str, values: Mapping[str, object]) -> int:
    """Return the one number that a statement tells."""
    return int(rows(binding, sql, values).to_numpy()[0, 0])
