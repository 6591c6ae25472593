"""From what somebody asks about to files with certain bytes that they may know."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

from data_platform.errors import SourceError, VersionUnavailable
from data_platform.settings import Settings
from populate.lookup import lookup
from populate.provenance.sight import Content, Name, Sight
from populate.who.asker import Asker
from populate.who.link import item_of
from populate.who.whom import printable
from readers.output import hash_of
from readers.registry import source_for
from readers.seeing import see
from schemas.catalogue import Version
from schemas.identity import file_id as file_id_of
from schemas.output import Output

_DIGITS = re.compile(r"(?:sha256:)?([0-9a-f]{8,64})", re.IGNORECASE)


def start(asker: Asker, about: str, settings: Settings, *, latest: bool) -> tuple[Sight, list[Content]]:
    """Return what the asker may know, and the files with their bytes that are asked about.

    Parameters
    ----------
    latest
        Of a link only the bytes of now, else all that it ever had.

    Raises
    ------
    VersionUnavailable
        If there is nothing that the asker may know.
    """
    digits = _DIGITS.fullmatch(about.strip())
    if digits and not Path(about).exists():
        sight = Sight(asker)
        found = _with_digits(sight, digits[1].lower())
    else:
        sight, found = _behind(asker, about, settings, latest)
    if not found:
        raise VersionUnavailable(
            f"Nothing is known of {printable(about)[:200]}, or you may not know it. Give a link that you can open, "
            "or the SHA-256 of bytes that you have read."
        )
    return sight, found


def _with_digits(sight: Sight, digits: str) -> list[Content]:
    rows = sight.ask("with_digits", low=f"{digits:0<64}", high=f"{digits:f<64}")
    found = sight.known([Content(file_id, sha256) for sha256, file_id in rows])
    if len(contents := sorted({content.sha256 for content in found})) > 1:
        some = ", ".join(sha256[:16] for sha256 in contents[:3])
        raise VersionUnavailable(f"Several contents begin with {digits}: {some} … Give more digits.")
    return found


def _behind(asker: Asker, link: str, settings: Settings, latest: bool) -> tuple[Sight, list[Content]]:
    item = item_of(asker, link, settings)
    if item is None:
        return Sight(asker), []
    shown, now = _here(link, settings)
    sight = Sight(asker, shown)
    if item.file_id not in sight.names({item.file_id}):
        sight = Sight(asker, {item.file_id: Name(printable(item.name), printable(link), "")})
    of_file = {"file_id": {item.file_id}}
    found = {Content(*row) for table in (Version, Output) for row in lookup(table, "file_id", "sha256", **of_file)}
    if item.file_id not in shown:  # it was read before and cannot be opened now: what came later is not told
        found &= {Content(*row) for row in sight.ask("contents_seen", files=(item.file_id,))}
    if now is not None and (latest or not found):
        return sight, [now]
    return sight, [_latest(sight, found)] if latest and found else sorted(found)


def _latest(sight: Sight, found: set[Content]) -> Content:
    """Return what was read last of several versions of a file."""
    files, contents = tuple({content.file_id for content in found}), tuple(sorted(c.sha256 for c in found))
    times = {Content(file, sha): at for file, sha, at in sight.ask("last_met", files=files, contents=contents)}
    return max(found, key=lambda content: (times.get(content, datetime.min), content))


def _here(link: str, settings: Settings) -> tuple[dict[str, Name], Content | None]:
    """Return a file that the asker can open now; of one of this machine with its bytes."""
    try:
        source = source_for(link, settings)
        item = source.resolve(str(Path(link).expanduser()) if link.startswith("~") else link)
        see(source, item)
        file_id = file_id_of(item.source_system, item.item_id)
        name = Name(printable(item.name), printable(item.path), item.source_system)
        if source.kind != "file" or item.is_folder:
            return {file_id: name}, None
        return {file_id: name}, Content(file_id, hash_of(source, item)[0])
    except SourceError:
        return {}, None
