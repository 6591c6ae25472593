"""Notes: what the owner of a file or a steward says about it to whoever may know the file."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from data_platform.errors import RestrictionError
from populate.notes.about import assert_known, names, owns, people
from populate.notes.rows import Row, enter, new_id, some_lines, standing, writer
from populate.who.asker import Asker
from schemas.notes import Note, NoteEnded

LONGEST = 4000


@dataclass(frozen=True, slots=True)
class NoteView:
    """A note; `by` is empty if its author is not to be named, and `said_as` is ``owner`` or ``steward``."""

    note_id: str
    file_id: str
    name: str
    text: str
    said_as: str
    by: str
    at: datetime


def add_note(asker: Asker, file_id: str, text: str, *, steward: bool = False, replaces: str = "") -> str:
    """Note something down about a file, and return the id of the note.

    Parameters
    ----------
    text
        Plain text of at most `LONGEST` characters.
    steward
        The asker is known to be a steward, who may write about any file that they may know.
    replaces
        Note that does not hold any more from then on.

    Raises
    ------
    RestrictionError
        If the file may not be known, or is not the asker's and they are no steward.
    """
    assert_known(asker, file_id)
    person, said = writer(asker), some_lines(text, LONGEST, "A note")
    mine = owns(asker, file_id)
    if not (mine or steward):
        raise RestrictionError("Notes are written by a file's owner and by stewards. Tag it, or ask its owner.")
    note_id = new_id()
    row = {"note_id": note_id, "file_id": file_id, "noted_by": person, "noted_as": "owner" if mine else "steward"}
    asker.binding.ensure()
    with asker.binding.transaction():
        enter(asker.binding, Note, {**row, "noted_at": asker.now, "note_text": said})
        if replaces:
            _end(asker, replaces, person, steward, of=file_id, by=note_id)
    return note_id


def withdraw_note(asker: Asker, note_id: str, *, steward: bool = False) -> None:
    """Let a note hold no more: one's own, any about one's own file, and as a steward any.

    Raises
    ------
    RestrictionError
        If there is no such note, or it is neither the asker's nor about the asker's file.
    """
    _end(asker, note_id, writer(asker), steward)


def notes_of(asker: Asker, files: Collection[str]) -> list[NoteView]:
    """Return the notes that hold about those of `files` that the asker may know, the latest first."""
    rows = standing(Note, NoteEnded, file_id=set(files))
    known = names(asker, {row["file_id"] for row in rows})
    mine = [row for row in rows if row["file_id"] in known]
    by = people(asker, {row["noted_by"] for row in mine})
    found = [_view(row, known[row["file_id"]].name, by[row["noted_by"]]) for row in mine]
    return sorted(found, key=lambda note: (note.at, note.note_id), reverse=True)


def notes_in_force(files: Collection[str]) -> list[tuple[str, str]]:
    """Return file and text of all notes about `files`, for an index that leaves out later who may not know them."""
    return sorted((row["file_id"], row["note_text"]) for row in standing(Note, NoteEnded, file_id=set(files)))


def _view(row: Row, name: str, by: str) -> NoteView:
    return NoteView(row["note_id"], row["file_id"], name, row["note_text"], row["noted_as"], by, row["noted_at"])


def _end(asker: Asker, note_id: str, person: str, steward: bool, *, of: str = "", by: str = "") -> None:
    rows = standing(Note, NoteEnded, note_id={note_id})
    known = names(asker, {row["file_id"] for row in rows})
    if not rows or rows[0]["file_id"] not in known or of not in ("", rows[0]["file_id"]):
        raise RestrictionError("There is no such note of that file. `data-platform notes FILE` tells which there are.")
    if not (steward or rows[0]["noted_by"] == person or owns(asker, rows[0]["file_id"])):
        raise RestrictionError("Somebody else wrote this note. Ask them, or the file's owner, to withdraw it.")
    row = {"note_id": note_id, "note_ended_at": asker.now, "note_ended_by": person, "replaced_by": by}
    enter(asker.binding, NoteEnded, row)
