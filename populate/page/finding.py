"""From what somebody calls a file, or a version of it, to the one that they may know."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from data_platform.errors import SourceError, VersionUnavailable
from data_platform.settings import Settings
from populate.page.page import file_page, standing_of
from populate.page.shape import FilePage, VersionRow
from populate.provenance.sight import Sight
from populate.who.asker import Asker
from populate.who.link import is_link, item_of
from populate.who.whom import printable
from readers.registry import source_for
from readers.seeing import see
from schemas.identity import file_id as file_id_of

SHORTEST_PREFIX = 8
_ID = re.compile(r"[0-9a-f]{32}")
_DIGITS = re.compile(rf"(?:sha256:)?([0-9a-f]{{{SHORTEST_PREFIX},64}})", re.IGNORECASE)


class Found(NamedTuple):
    """A file; `shown` says that its source lets the asker open it just now."""

    file_id: str
    shown: bool


def page_of(asker: Asker, about: str, settings: Settings) -> tuple[Found, FilePage]:
    """Return the page of a file that is called by a link, a path, its id or its name.

    Raises
    ------
    VersionUnavailable
        If there is none that the asker may know, or there are several of that name.
    """
    found = _found(asker, about, settings)
    page = file_page(asker, found.file_id, shown=found.shown) if found is not None else None
    if found is None or page is None:
        raise VersionUnavailable(
            f"Nothing is known of {printable(about)[:200]}, or you may not know it. Give a link that you can open, or "
            "the name of a file that you have read."
        )
    return found, page


def version_of(page: FilePage, called: str) -> VersionRow:
    """Return the version that is called so: by the first digits of its SHA-256 or id, or by the source's label.

    Raises
    ------
    VersionUnavailable
        If there is none, or there are several.
    """
    match = _DIGITS.fullmatch(called.strip())
    digits = match[1].lower() if match else ""
    found = [
        version
        for version in page.versions
        if version.label == called.strip()
        or (digits and (version.sha256.startswith(digits) or version.version_id.startswith(digits)))
    ]
    if len({version.sha256 for version in found}) != 1:
        what = "has no version" if not found else f"has {len(found)} versions"
        raise VersionUnavailable(
            f"{page.name} {what} {printable(called)[:80]}. `data-platform show` lists those that you may know; "
            f"give at least {SHORTEST_PREFIX} digits of one's SHA-256."
        )
    return found[0]


def two_of(page: FilePage, old: str, new: str) -> tuple[VersionRow, VersionRow]:
    """Return the versions to compare: those that are called so, else the newest and the one before it.

    Raises
    ------
    VersionUnavailable
        If there are no two.
    """
    if old:
        return version_of(page, old), version_of(page, new) if new else page.versions[0]
    latest = page.versions[0] if page.versions else None
    before = next((one for one in page.versions if latest and one.sha256 != latest.sha256), None)
    if latest is None or before is None:
        raise VersionUnavailable(f"Only one version of {page.name} is known to you, so there is nothing to compare.")
    return before, latest


def _found(asker: Asker, about: str, settings: Settings) -> Found | None:
    if _ID.fullmatch(about) and standing_of(asker, about) is not None:
        return Found(about, shown=False)
    if not is_link(about):
        return _named(asker, about)
    try:
        source = source_for(about, settings)
        item = source.resolve(str(Path(about).expanduser()) if about.startswith("~") else about)
        see(source, item)
        return Found(file_id_of(item.source_system, item.item_id), shown=True)
    except SourceError:
        read = item_of(asker, about, settings)
        return Found(read.file_id, shown=False) if read is not None else None


def _named(asker: Asker, name: str) -> Found | None:
    rows = asker.ask("names", ("file_name",), terms=(name.lower(),))
    found = {file_id for file_id, file_name, _, known in rows if known and file_name.lower() == name.lower()}
    if len(found) > 1:
        paths = ", ".join(sorted(one.path for one in Sight(asker).names(sorted(found)[:4]).values()))
        raise VersionUnavailable(f"{len(found)} files are called {printable(name)}: {paths} … Give the path of one.")
    return Found(found.pop(), shown=False) if found else None
