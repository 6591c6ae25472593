"""Puts the page of a file together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from populate.lookup import lookup
from populate.page.shape import CopyRow, FilePage, GrantRow, ReaderRow, Receipts, SetRow
from populate.page.statements import ask
from populate.page.versions import Read, reads_of, versions_of
from populate.profile.view import stored_profile
from populate.provenance.sight import Sight
from populate.who.asker import FOREVER, Asker, Colleague, oneself
from populate.who.evidence import Item, gather
from populate.who.whom import about_item, printable, ranked
from schemas.catalogue import Version
from schemas.identity import display_text

SUGGESTIONS = 5
NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""SHA-256 of no bytes: that two files are empty says nothing."""


class Standing(NamedTuple):
    """How an asker stands to a file: what they know it by, whether they may open it, see all of it, own it."""

    name: str
    path: str
    source_system: str
    known: bool
    whole: bool
    owned: bool


def file_page(asker: Asker, file_id: str, *, shown: bool = False) -> FilePage | None:
    """Return the page of a file, or None if there is none, or the asker may not know it.

    Parameters
    ----------
    file_id
        As in `schemas.catalogue.File`.
    shown
        The source itself lets the asker open the file just now, so all its versions may be known.
    """
    standing = standing_of(asker, file_id, shown=shown)
    if standing is None:
        return None
    if not standing.known:
        return _limited(asker, file_id, standing)
    return _whole(asker, file_id, standing)


def standing_of(asker: Asker, file_id: str, *, shown: bool = False) -> Standing | None:
    """Return how the asker stands to a file; None if there is none, or they may not even know that it is there."""
    if display_text(file_id) != file_id:
        return None  # no database stores such an id, nor looks for one
    rows = ask(asker, "file", file=file_id)
    if not rows and shown:
        rows = [(*row, 1, None, 0) for row in ask(asker, "latest_name", file=file_id)]
    if not rows:
        return None
    name, path, system, known, until, owned = rows[0]
    whole = shown or until == FOREVER
    return Standing(printable(name), printable(path), system, bool(known) or shown, whole, bool(owned))


def contents_known(asker: Asker, file_id: str, standing: Standing, reads: Iterable[Read]) -> set[str] | None:
    """Return the contents of the file that the asker may know: what was read by or for them; None = all."""
    if standing.whole:
        return None
    mine = {read.version_id for read in reads if read.person_id == asker.person_id}
    of_version = lookup(Version, "version_id", "sha256", file_id={file_id})
    seen = {sha256 for _, sha256 in Sight(asker).ask("contents_seen", files=(file_id,))}
    return seen | {sha256 for version_id, sha256 in of_version if version_id in mine}


def _kind(name: str) -> str:
    return PurePosixPath(name).suffix.lstrip(".").lower()


def _limited(asker: Asker, file_id: str, standing: Standing) -> FilePage:
    """Only the owner, who let the file be found, is told: nobody else's part in it."""
    (item,) = gather(asker, [Item(file_id, standing.name)])
    owner = item.owner if item.owner in asker.open_people({item.owner} - {""}) else ""
    suggested = ranked(asker, {owner: (1.0, True, "owns it")}, 1) if owner else []
    return FilePage(file_id, standing.name, _kind(standing.name), limited=True, whom_to_ask=tuple(suggested))


def _whole(asker: Asker, file_id: str, standing: Standing) -> FilePage:
    reads = reads_of(asker, file_id)
    versions = versions_of(asker, file_id, reads, contents_known(asker, file_id, standing, reads))
    contents = sorted({version.sha256 for version in versions} - {NOTHING})
    is_set = bool(ask(asker, "is_set", file=file_id))
    (item,) = gather(asker, [Item(file_id, standing.name, known=True)])
    newest = next((version for version in versions if version.newest), None)
    return FilePage(
        file_id=file_id,
        name=standing.name,
        kind="folder" if is_set else _kind(standing.name),
        limited=False,
        path=standing.path,
        source_system=standing.source_system,
        owner=_person(asker, item.owner),
        owned=standing.owned,
        gone_on=next((day for (day,) in ask(asker, "gone", file=file_id)), None) if standing.whole else None,
        versions=versions,
        copies=_copies(asker, file_id, contents),
        file_sets=_sets(asker, "file_sets", file=file_id, versions=tuple(v.version_id for v in versions)),
        members=_sets(asker, "members", file=file_id, version=newest.version_id) if is_set and newest else (),
        grants=_grants(asker, file_id, all_of_them=standing.owned),
        whom_to_ask=tuple(about_item(asker, item, SUGGESTIONS)),
        receipts=_receipts(asker, file_id, reads) if standing.owned else None,
        profile=stored_profile(newest.sha256) if newest else None,
    )


def _person(asker: Asker, person_id: str) -> Colleague | None:
    """Return a person who may be named, or the asker."""
    if person_id and person_id == asker.person_id:
        return oneself(asker)
    return asker.colleagues({person_id} - {""}).get(person_id)


def _copies(asker: Asker, file_id: str, contents: Collection[str]) -> tuple[CopyRow, ...]:
    rows = _met(asker, ask(asker, "copies", file=file_id, contents=tuple(contents)))
    names = Sight(asker).names({other for other, *_ in rows})
    owners = {item.file_id: item.owner for item in gather(asker, [Item(other) for other in names])}
    people = asker.colleagues(set(owners.values()) - {""})
    return tuple(
        CopyRow(
            other,
            names[other].name,
            names[other].path,
            names[other].source_system,
            printable(people[owners[other]].name) if owners[other] in people else _you(asker, owners[other]),
            sha256,
        )
        for other, sha256 in rows
        if other in names
    )


def _you(asker: Asker, person_id: str) -> str:
    return "you" if person_id and person_id == asker.person_id else ""


def _sets(asker: Asker, statement: str, **values: str | tuple[str, ...]) -> tuple[SetRow, ...]:
    rows = _met(asker, ask(asker, statement, **values))
    names = Sight(asker).names({other for other, *_ in rows})
    found = {(other, path) for other, _, path in rows if other in names}
    return tuple(
        SetRow(other, names[other].name, names[other].path, printable(path))
        for other, path in sorted(found, key=lambda row: (row[1], row[0]))
    )


def _met(asker: Asker, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return the rows, which begin with a file and a content, whose file the asker may know to hold that content.

    Whoever only read a file does not learn what it held later.
    """
    met = set(Sight(asker).ask("contents_seen", files=tuple(sorted({row[0] for row in rows}))))
    return [row for row in rows if row[:2] in met]


def _grants(asker: Asker, file_id: str, *, all_of_them: bool) -> tuple[GrantRow, ...]:
    rows = ask(asker, "grants", file=file_id, all=int(all_of_them))
    return tuple(
        GrantRow(printable(grantee), kind, level, scope, since, None if until is None or until.year == 9999 else until)
        for grantee, kind, level, scope, since, until in rows
    )


def _receipts(asker: Asker, file_id: str, reads: Iterable[Read]) -> Receipts:
    of_person: defaultdict[str, list[Read]] = defaultdict(list)
    for read in reads:
        if read.person_id != asker.person_id:
            of_person[read.person_id].append(read)
    departments = {name for _, name in ask(asker, "departments", people=tuple(of_person)) if name}
    people = [
        ReaderRow(person, printable(one.name), one.department, sum(read.times for read in of_person[person]), last)
        for person, one in asker.colleagues(of_person).items()
        if (last := max(read.last for read in of_person[person]))
    ]
    return Receipts(
        readers=len(of_person),
        departments=len(departments),
        analyses=int(ask(asker, "analyses", file=file_id)[0][0]),
        reads=sum(read.times for some in of_person.values() for read in some),
        last_read=max((read.last for some in of_person.values() for read in some), default=None),
        people=tuple(sorted(sorted(people, key=lambda row: row.name), key=lambda row: row.last_read, reverse=True)),
    )
