"""Profiles of contents that are in the content store."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from data_platform.settings import Settings
from populate.duplicates.forms.limited import Limits
from populate.duplicates.forms.stored import Placed, made_of
from populate.profile.reply import ContentSaid, Profiles, SheetSaid
from populate.store import open_store

MOST_PREVIEW = 8000  # characters of the first rows

Rows = list[dict[str, Any]]


def profiles_of(
    settings: Settings, contents: Mapping[str, Sequence[Placed]], limits: Sequence[int]
) -> tuple[Rows, Rows, Rows]:
    """Return rows of `ContentProfile`, `SheetProfile` and `ColumnProfile`, but for the method, sorted by key.

    A content that the store does not give back as it was is left out: `data-platform check`
    tells which these are.

    Raises
    ------
    StoreUnavailable
        If the store does not answer: nothing is known about any content then.
    """
    rows: tuple[Rows, Rows, Rows] = ([], [], [])
    if not contents:
        return rows
    store = open_store(settings)
    settings.home.mkdir(parents=True, exist_ok=True)
    with Profiles(Limits(*limits), settings.home) as profiles:
        for sha256 in sorted(contents):
            said = made_of(profiles.profile_of, store, sha256, contents[sha256])
            if said is not None:
                for table, some in zip(rows, _rows(sha256, said), strict=True):
                    table.extend(some)
    return rows


def _rows(sha256: str, said: ContentSaid) -> tuple[Rows, Rows, Rows]:
    content = {"sha256": sha256, "profile_kind": said.kind, "profile_reason": said.why}
    sheets = [_sheet({"sha256": sha256, "sheet_no": number}, sheet) for number, sheet in enumerate(said.sheets)]
    columns = [
        {
            "sha256": sha256,
            "sheet_no": number,
            "column_no": place,
            "column_name": column.name,
            "column_type": column.type,
            "missing_count": column.missing,
            "distinct_count": column.distinct,
            "least_value": column.least,
            "greatest_value": column.greatest,
            "column_values": json.dumps(column.values, ensure_ascii=False),
        }
        for number, sheet in enumerate(said.sheets)
        for place, column in enumerate(sheet.columns)
    ]
    return [content], sheets, columns


def _sheet(key: dict[str, Any], sheet: SheetSaid) -> dict[str, Any]:
    return key | {
        "sheet_name": sheet.name,
        "row_count": sheet.rows,
        "column_count": sheet.width,
        "rows_looked_at": sheet.looked_at,
        "first_rows": _preview(sheet.first),
    }


def _preview(rows: Sequence[Sequence[str]]) -> str:
    """Return as many of the first rows as fit, as JSON."""
    for count in range(len(rows), 0, -1):
        text = json.dumps(rows[:count], ensure_ascii=False)
        if len(text) <= MOST_PREVIEW:
            return text
    return "[]"
