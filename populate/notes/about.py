"""The file that somebody writes about: one that they may know, and whether it is theirs."""

from __future__ import annotations

import re
from collections.abc import Collection

from data_platform.errors import RestrictionError
from data_platform.settings import Settings
from populate.lookup import lookup
from populate.provenance.sight import Name, Sight
from populate.who.asker import Asker
from populate.who.link import item_of
from populate.who.standing import standing_of
from populate.who.whom import printable
from readers.event import consumer
from schemas.catalogue import File, FileOwner
from schemas.identity import account_id, normal_login

_ID = re.compile("[0-9a-f]{32}")
_MANY = 1000


def file_about(asker: Asker, about: str, settings: Settings) -> str:
    """Return the id of the file behind a link, path or id that the asker may know.

    Raises
    ------
    RestrictionError
        If the catalogue has no such file, or the asker may not know it: nobody can tell which.
    """
    if _ID.fullmatch(about.strip()):
        file_id = about.strip()
        if file_id in names(asker, [file_id]):
            return file_id
    else:
        item = item_of(asker, about, settings)
        if item is not None and lookup(File, "file_id", file_id={item.file_id}):
            return item.file_id
    raise RestrictionError(
        f"Nothing is known of {printable(about)[:200]}, or you may not know it. Give a link that you can open; "
        "a file that nobody has read yet has to be read once."
    )


def assert_known(asker: Asker, file_id: str) -> Name:
    """Return what the asker knows a file by.

    Raises
    ------
    RestrictionError
        If there is no such file, or they may not know it.
    """
    found = names(asker, [file_id]).get(file_id)
    if found is None:
        raise RestrictionError("There is no such file, or you may not know it. Give a link that you can open.")
    return found


def names(asker: Asker, files: Collection[str]) -> dict[str, Name]:
    """Return those of `files` that the asker may know, each with the name that they know it by."""
    wanted, sight = sorted(set(files)), Sight(asker)
    return {
        file_id: name
        for first in range(0, len(wanted), _MANY)
        for file_id, name in sight.names(wanted[first : first + _MANY]).items()
    }


def owns(asker: Asker, file_id: str) -> bool:
    """Tell whether a file is the asker's, as its source said last."""
    rows = lookup(FileOwner, "owner_since", "account_id", file_id={file_id})
    if not rows:
        return False
    newest = max(since for since, _ in rows)
    return min(account for since, account in rows if since == newest) in asker.accounts


def is_steward(asker: Asker, settings: Settings) -> bool:
    """Tell whether whoever runs this process may act as a steward: alone on this machine, or by ``dashboard.stewards``.

    On a server it is the database that keeps others from adding rows; this keeps people from doing it unawares.
    """
    if settings.database.backend == "embedded":
        return True
    login = consumer(settings, None).login
    groups = standing_of(asker, account_id(login.realm, login.name)).groups
    mine = {normal_login(name) for name in (login.name, *(f"group:{key}" for key in groups))}
    return bool(mine & {normal_login(name) for name in settings.dashboard.stewards})


def people(asker: Asker, ids: Collection[str]) -> dict[str, str]:
    """Return the names of those people who may be named, ``you`` for oneself; of others an empty text."""
    found = Sight(asker).people(set(ids)) | {asker.person_id: "you"}
    return {person: found.get(person, "") for person in ids}
