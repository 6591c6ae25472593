"""People from a table of the user's: one row a login, for companies without a directory."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

from data_platform.errors import DirectoryRefused
from populate.directory.picture import Picture, Said, fitting
from schemas.identity import normal_login

FEED = "csv"
KINDS = ("person", "guest", "service")
STATES = ("enabled", "disabled", "deleted")
MAX_BYTES = 256 * 1024 * 1024

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "login": ("login", "account", "username", "user"),
    "name": ("name", "fullname", "displayname"),
    "mail": ("mail", "email", "emailaddress"),
    "department": ("department", "team"),
    "title": ("title", "jobtitle"),
    "manager": ("manager",),
    "employee": ("employee", "employeeid", "employeenumber"),
    "kind": ("kind",),
    "state": ("state", "status"),
    "since": ("since", "startdate"),
}
"""Column of ours -> headings that it may have, without regard to case, blanks, hyphens and underscores."""


def read_csv(path: Path, realm: str) -> Picture:
    """Return the people in a table, who are all there are.

    Parameters
    ----------
    path
        CSV with a heading, UTF-8, separated by commas, semicolons or tabs.
    realm
        That the logins belong to.

    Raises
    ------
    DirectoryRefused
        If the file cannot be read, has no column ``login``, or a row that cannot be understood;
        the message names the line.
    """
    picture = Picture(realm=realm, positions={FEED: ""}, groups_complete=False)
    for number, row in _rows(path):
        _take(picture, number, row)
    if not picture.people:
        raise DirectoryRefused(f"{path} names nobody. Check that it is the right file.")
    for key, said in picture.people.items():
        manager = said.fields["manager"]
        if manager and manager not in picture.people:
            picture.odd.append(f"{key} has a manager, {manager}, who has no row; the manager was left out.")
            said.fields["manager"] = ""
    return picture


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield each row by our names of the columns, with the line that it ends on."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DirectoryRefused(f"{path} is larger than {MAX_BYTES} bytes. It should have a row for each person.")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DirectoryRefused(f"{path} cannot be read: {error.strerror}. Check the path.") from error
    except UnicodeDecodeError as error:
        raise DirectoryRefused(f"{path} is not UTF-8 (byte {error.start}). Save it as UTF-8.") from error
    if "\0" in text:
        raise DirectoryRefused(f"{path} has NUL characters. Save it as CSV in UTF-8.")
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    table = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        names = _names(path, next(table, []))
        for cells in table:
            if any(cell.strip() for cell in cells):
                if len(cells) > len(names):
                    raise DirectoryRefused(f"{path}, line {table.line_num}: more cells than columns. Quote the cells.")
                yield table.line_num, {name: cell for name, cell in zip(names, cells, strict=False) if name}
    except csv.Error as error:
        raise DirectoryRefused(f"{path}, line {table.line_num}: {error}. Mend the quotes.") from error


def _names(path: Path, heading: list[str]) -> list[str]:
    """Return our name of each column; empty for those that are not used."""
    ours = {other: name for name, others in COLUMNS.items() for other in others}
    plain = ["".join(c for c in cell.casefold() if c.isalnum()) for cell in heading]
    names = [ours.get(cell, "") for cell in plain]
    if "login" not in names:
        raise DirectoryRefused(f"{path} has no column `login`. Its first line has to name the columns.")
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise DirectoryRefused(f"{path} has two columns for `{twice[0]}`. Remove one.")
    return names


def _take(picture: Picture, number: int, row: dict[str, str]) -> None:
    login = fitting("login", normal_login(row.get("login", "")))
    if not login:
        raise DirectoryRefused(f"Line {number} has no login. Fill it in, or remove the line.")
    names = ("name", "mail", "department", "title", "employee")
    fields = {name: fitting(name, row.get(name, "")) for name in names}
    fields["kind"] = _one_of(KINDS, row.get("kind", ""), "kind", number)
    fields["manager"] = fitting("login", normal_login(row.get("manager", "")))
    said = Said(fields, _one_of(STATES, row.get("state", ""), "state", number), _day(row.get("since", ""), number))
    if login in picture.people:
        raise DirectoryRefused(f"Line {number}: the login {login} is there already. Remove one of the lines.")
    picture.person(login, said)


def _one_of(values: tuple[str, ...], text: str, name: str, number: int) -> str:
    found = text.strip().casefold() or values[0]
    if found not in values:
        raise DirectoryRefused(f"Line {number}: {name} is {found[:32]!r}. Use {', '.join(values)}, or leave it empty.")
    return found


def _day(text: str, number: int) -> date | None:
    try:
        return date.fromisoformat(text.strip()) if text.strip() else None
    except ValueError as error:
        raise DirectoryRefused(f"Line {number}: {text.strip()[:32]!r} is not a day. Write it as 2026-01-31.") from error
