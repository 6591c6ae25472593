"""Tags: a few words that somebody gives a file, by which others find it."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from data_platform.errors import RestrictionError
from populate.notes.about import assert_known, names, owns, people
from populate.notes.rows import enter, moment, one_line, standing, writer
from populate.who.asker import Asker
from schemas.notes import FileTag, FileTagEnded

LONGEST = 64


@dataclass(frozen=True, slots=True)
class Tagged:
    """A tag of a file; `by` is empty if whoever gave it is not to be named."""

    file_id: str
    name: str
    tag: str
    by: str
    at: datetime


class TagCount(NamedTuple):
    """A tag, and how many files that the asker may know have it."""

    tag: str
    files: int


def tag_of(text: str) -> str:
    """Return the one spelling of a tag.

    Raises
    ------
    RestrictionError
        If it is empty, too long, or has a comma in it, which separates tags elsewhere.
    """
    if "," in text:
        raise RestrictionError(f"{text[:40]!r} has a comma in it. Give several tags one by one.")
    return one_line(unicodedata.normalize("NFC", text).lower().removeprefix("#"), LONGEST, "A tag")


def add_tag(asker: Asker, file_id: str, tag: str) -> str:
    """Give a file that the asker may know a tag, and return its one spelling; a second time changes nothing."""
    assert_known(asker, file_id)
    spelt, person = tag_of(tag), writer(asker)
    if not _standing(file_id, spelt):
        key = {"file_id": file_id, "tag": spelt}
        at = moment(asker, FileTag, "tagged_at", file_id={file_id}, tag={spelt})
        enter(asker.binding, FileTag, {**key, "tagged_at": at, "tagged_by": person})
    return spelt


def remove_tag(asker: Asker, file_id: str, tag: str, *, steward: bool = False) -> None:
    """Take a tag away: one's own, any of one's own file, and as a steward any.

    Raises
    ------
    RestrictionError
        If the file has no such tag, or it is neither the asker's tag nor the asker's file.
    """
    assert_known(asker, file_id)
    spelt, person = tag_of(tag), writer(asker)
    found = _standing(file_id, spelt)
    if not found:
        raise RestrictionError(f"The file has no tag {spelt!r}. `data-platform tags FILE` tells which it has.")
    if not (steward or owns(asker, file_id) or all(row["tagged_by"] == person for row in found)):
        raise RestrictionError(f"Somebody else gave the file the tag {spelt!r}. Ask them, or its owner, to remove it.")
    keys = ({name: row[name] for name in ("file_id", "tag", "tagged_at")} for row in found)
    enter(asker.binding, FileTagEnded, *({**key, "untagged_at": asker.now, "untagged_by": person} for key in keys))


def tags_of(asker: Asker, files: Collection[str]) -> list[Tagged]:
    """Return the tags of those of `files` that the asker may know, by file and tag."""
    return _told(asker, standing(FileTag, FileTagEnded, file_id=set(files)))


def tagged(asker: Asker, tag: str) -> list[Tagged]:
    """Return the files that the asker may know and that have a tag."""
    return _told(asker, standing(FileTag, FileTagEnded, tag={tag_of(tag)}))


def all_tagged(asker: Asker) -> list[Tagged]:
    """Return all tags of all files that the asker may know."""
    tags = sorted({str(tag) for tag in FileTag.proj().to_arrays("tag")})
    return _told(asker, standing(FileTag, FileTagEnded, tag=tags))


def all_tags(asker: Asker) -> list[TagCount]:
    """Return all tags of files that the asker may know, the most frequent first."""
    counts = Counter(row.tag for row in all_tagged(asker))
    return [TagCount(*pair) for pair in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))]


def tags_in_force(files: Collection[str]) -> list[tuple[str, str]]:
    """Return file and tag of all tags of `files`, for an index that leaves out later who may not know them."""
    rows = standing(FileTag, FileTagEnded, file_id=set(files))
    return sorted({(row["file_id"], row["tag"]) for row in rows})


def _standing(file_id: str, tag: str) -> list[dict[str, object]]:
    return standing(FileTag, FileTagEnded, file_id={file_id}, tag={tag})


def _told(asker: Asker, rows: list[dict[str, object]]) -> list[Tagged]:
    known = names(asker, {str(row["file_id"]) for row in rows})
    mine = [row for row in rows if row["file_id"] in known]
    by = people(asker, {str(row["tagged_by"]) for row in mine})
    first: dict[tuple[str, str], Tagged] = {}
    for row in mine:
        file_id, tag, at = str(row["file_id"]), str(row["tag"]), row["tagged_at"]
        assert isinstance(at, datetime)
        first.setdefault((file_id, tag), Tagged(file_id, known[file_id].name, tag, by[str(row["tagged_by"])], at))
    return [first[key] for key in sorted(first)]
