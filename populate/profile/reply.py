"""What a limited process said of a content, if it is what one would say: whatever was parsed may have spoken for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from populate.duplicates.forms.limited import Limited
from populate.profile.parsing import NONE
from populate.who.whom import printable

LONGEST_REPLY = 4 * 1024**2
WHY = 255


def _told(value: str) -> str:
    """Return text that every database stores and that steers no screen, of the same length."""
    return printable(value)


Short = Annotated[str, Field(max_length=64), AfterValidator(_told)]
Line = Annotated[str, Field(max_length=255), AfterValidator(_told)]
Count = Annotated[int, Field(ge=0, lt=2**40)]
Kind = Literal["table", "workbook", "text", "json", "document", "archive", "bytes", "none"]
Type = Literal["empty", "integer", "number", "truth", "date", "time", "text"]


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ColumnSaid(_Said):
    """A column: `distinct` is -1 if there are more different values than were counted."""

    name: Short
    type: Type
    missing: Count
    distinct: Annotated[int, Field(ge=-1, lt=2**31)]
    least: Short
    greatest: Short
    values: Annotated[list[tuple[Short, Count]], Field(max_length=20)]


class SheetSaid(_Said):
    """A table, or the lines of a text: of `looked_at` rows columns were told, of which there are `width`."""

    name: Short
    rows: Count
    looked_at: Count
    width: Annotated[int, Field(ge=0, lt=2**31)]
    first: Annotated[list[Annotated[list[Line], Field(max_length=30)]], Field(max_length=10)]
    columns: Annotated[list[ColumnSaid], Field(max_length=200)]


class ContentSaid(_Said):
    """A content: what it is, why it is not told more of, and its tables."""

    kind: Kind
    why: Line
    sheets: Annotated[list[SheetSaid], Field(max_length=20)] = []


class Profiles(Limited[ContentSaid]):
    """Finds profiles in limited child processes."""

    task = "populate.profile.task"
    longest = LONGEST_REPLY

    def profile_of(self, sha256: str, size: int, content: Iterable[bytes]) -> ContentSaid:
        """Return the profile of a content of `size` bytes with the hash `sha256`, or why it has none."""
        most = self._limits.file_bytes
        if size > most:
            return ContentSaid(kind="bytes", why=f"larger than {most} bytes: not opened")
        return self._made({"size": size, "sha256": sha256}, content)

    def _checked(self, line: bytes) -> ContentSaid | None:
        try:
            return ContentSaid.model_validate_json(line)
        except ValidationError:
            return None

    def _failed(self, why: str) -> ContentSaid:
        return ContentSaid(kind="none", why=why[:WHY])

    def _is_failure(self, found: ContentSaid) -> bool:
        return found.kind == NONE
