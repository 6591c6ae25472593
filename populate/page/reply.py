"""What differs between two versions, if it is what a limited process would say: what it parsed may speak for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from populate.duplicates.forms.limited import Limited
from populate.profile.reply import Count, Line, Short

LONGEST_REPLY = 4 * 1024**2

Names = Annotated[tuple[Short, ...], Field(max_length=200)]
Cells = Annotated[tuple[Short, ...], Field(max_length=30)]
Rows = Annotated[tuple[Cells, ...], Field(max_length=50)]


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class RowChange(_Said):
    """A row that both versions have, with other cells.

    Attributes
    ----------
    key
        Its values in the key columns.
    cells
        Column, value before and after of those cells that changed, at most 30.
    """

    key: Cells
    cells: Annotated[tuple[tuple[Short, Short, Short], ...], Field(max_length=30)]


class SheetDifference(_Said):
    """What differs between two tables.

    Attributes
    ----------
    key
        The columns by which rows were found again; empty if none names each row: then a changed row counts as one
        removed and one added.
    cells_changed
        For each column in which cells of kept rows changed their number, the most first.
    added, removed, changed
        The first rows of each kind, at most 50; `new_columns` and `old_columns` name their cells, at most 30.
    """

    name: Short
    key: Names
    columns_added: Names
    columns_removed: Names
    rows_old: Count
    rows_new: Count
    rows_added: Count
    rows_removed: Count
    rows_changed: Count
    cells_changed: Annotated[tuple[tuple[Short, Count], ...], Field(max_length=200)]
    old_columns: Cells
    new_columns: Cells
    added: Rows
    removed: Rows
    changed: Annotated[tuple[RowChange, ...], Field(max_length=50)]

    @property
    def alike(self) -> bool:
        """Whether both say the same."""
        columns = self.columns_added or self.columns_removed
        return not (columns or self.rows_added or self.rows_removed or self.rows_changed)


class TableDifference(_Said):
    """What differs between two tables or workbooks: for each sheet that both have, and which sheets only one has."""

    kind: Literal["table"]
    sheets: Annotated[tuple[SheetDifference, ...], Field(max_length=20)]
    sheets_added: Names
    sheets_removed: Names

    @property
    def alike(self) -> bool:
        """Whether both say the same; their bytes differ."""
        return not (self.sheets_added or self.sheets_removed) and all(sheet.alike for sheet in self.sheets)


class TextDifference(_Said):
    """What differs between two texts.

    Attributes
    ----------
    unified
        Lines of a unified diff, without the names of files.
    cut
        There are more, or the texts are too long for one.
    """

    kind: Literal["text"]
    lines_added: Count
    lines_removed: Count
    unified: Annotated[tuple[Line, ...], Field(max_length=500)]
    cut: bool


class OpaqueDifference(_Said):
    """Two versions of which only the bytes can be compared, and why; or that have the same ones (`same`)."""

    kind: Literal["opaque"]
    why: Line
    same: bool = False


Difference = TableDifference | TextDifference | OpaqueDifference
_difference: TypeAdapter[Difference] = TypeAdapter(Annotated[Difference, Field(discriminator="kind")])


class Differences(Limited[Difference]):
    """Finds differences in limited child processes."""

    task = "populate.page.task"
    longest = LONGEST_REPLY

    def between(self, hashes: Sequence[str], sizes: Sequence[int], contents: Iterable[bytes]) -> Difference:
        """Return what differs between two contents, whose bytes come one after the other."""
        if sum(sizes) > self._limits.file_bytes:
            return self._failed(f"larger than {self._limits.file_bytes:,} bytes together: not opened")
        return self._made({"sizes": list(sizes), "sha256": list(hashes)}, contents)

    def _checked(self, line: bytes) -> Difference | None:
        try:
            return _difference.validate_json(line)
        except ValidationError:
            return None

    def _failed(self, why: str) -> Difference:
        return OpaqueDifference(kind="opaque", why=why)

    def _is_failure(self, found: Difference) -> bool:
        return False  # each is asked for by itself
