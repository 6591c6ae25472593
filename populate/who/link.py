"""From a link to the file behind it, if the asker may know that."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from data_platform.errors import SourceError
from data_platform.redact import redact_url
from data_platform.settings import Settings
from populate.lookup import lookup
from populate.who.asker import Asker
from populate.who.evidence import Item
from readers.registry import source_for
from readers.seeing import see
from schemas.identity import account_id, file_id
from schemas.people import Account
from schemas.sharing import Access

_LINK = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|[/~.]")


def is_link(text: str) -> bool:
    """Tell whether a question is a link or a path; what only looks like a name is one if there is such a file."""
    return _LINK.match(text) is not None or os.path.exists(text)  # noqa: PTH110 - of a Path it raises for long names


def last_part(url: str) -> str:
    """Return what a link ends with, as a person would read it and without the kind of file."""
    path = urlsplit(url).path if "://" in url else url
    return PurePosixPath(unquote(PurePosixPath(path).name)).stem


def item_of(asker: Asker, url: str, settings: Settings) -> Item | None:
    """Return the file behind a link if its source lets the asker open it, or the asker has read it before."""
    try:
        source = source_for(url, settings)
        thing = source.resolve(str(Path(url).expanduser()) if url.startswith("~") else url)
        see(source, thing)
    except SourceError:
        return _read_before(asker, url)
    item = Item(file_id(thing.source_system, thing.item_id), thing.name, known=True)
    if thing.owner is not None:
        owner = account_id(thing.owner.realm, thing.owner.name)
        item.owner = dict(lookup(Account, "account_id", "person_id", account_id={owner})).get(owner, "")
    return item


def _read_before(asker: Asker, url: str) -> Item | None:
    mine = {"account_id": asker.accounts, "url": {redact_url(url)}, "outcome": {"ok"}, "set_file_id": {""}}
    read = [row for row in lookup(Access, "accessed_at", "file_id", "file_name", **mine) if row[1]]
    return Item(max(read)[1], max(read)[2], known=True) if read else None
