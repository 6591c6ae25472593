"""What a driveItem of Graph says: identity, revision, owner, kind. Pure functions of it; anything may be missing."""

from __future__ import annotations

import math
import re
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from data_platform.errors import SourceNotFound, UnsafeLink, UnsupportedItem
from data_platform.redact import redact_url
from readers.source import Item, Login, Revision

Json = dict[str, Any]
PERSONAL_HOST = "onedrive.live.com"
PERSONAL_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"
MAX_TOKEN = 512
FRESH_SECONDS = 30.0
REDEEM = {"Prefer": "redeemSharingLinkIfNecessary"}
"""Opens a link for one request; the other preference would give lasting access, which is not ours to change."""
_PERSONAL_ID = re.compile(r"[0-9A-Fa-f]{1,16}")
_IN_ID = "!$'()*,;:@"


class DriveItem(Item):
    """An `Item` with how it was come by, out of the catalogue's sight.

    Attributes
    ----------
    session
        As whom it was opened: so it goes on, even if somebody else signs in meanwhile.
    version
        Label of the older version that it stands for; empty for the present one.
    share
        The link as Graph is asked about it, if it was opened by one: that may be all the right there is.
    within
        Path from what the link opens to the item, percent-encoded; empty for that itself.
    """

    __slots__ = ("_told", "session", "share", "version", "within")

    session: object
    version: str
    share: str
    within: str
    _told: list[tuple[float, Json]]

    def remember(
        self, told: Json, *, session: object, version: str = "", share: str = "", within: str = ""
    ) -> DriveItem:
        """Keep what Graph said just now, and how it was asked; returns the item itself."""
        object.__setattr__(self, "_told", [(time.monotonic(), told)])
        object.__setattr__(self, "session", session)
        object.__setattr__(self, "version", version)
        object.__setattr__(self, "share", share)
        object.__setattr__(self, "within", within)
        return self


def take_told(item: Item) -> Json | None:
    """Return what was learnt while the item was resolved or listed, once, as long as it is fresh."""
    held: list[tuple[float, Json]] = getattr(item, "_told", [])
    if not held:
        return None
    when, told = held[0]
    held[0] = (-math.inf, told)
    return told if time.monotonic() - when < FRESH_SECONDS else None


def last_told(item: Item) -> Json | None:
    """Return what was last learnt, however long ago: for who may see an item in its folder, and not ask about it."""
    held: list[tuple[float, Json]] = getattr(item, "_told", [])
    return held[0][1] if held else None


def session_of(item: Item) -> object:
    """Return as whom the item was opened, None if that is not known."""
    return getattr(item, "session", None)


def by_link(item: Item) -> bool:
    """Tell whether the item is asked for by the link that it, or a folder above it, was opened with."""
    return bool(getattr(item, "share", ""))


def within(item: Item) -> str:
    """Return the path, percent-encoded, to the item from the folder that a link opened; empty = none did."""
    return str(getattr(item, "within", ""))


def by_link_of(folder: Item, told: Json) -> tuple[str, str]:
    """Return the link by which what lies in `folder` may be asked for, and the path to it; empty if there is none."""
    share, name = str(getattr(folder, "share", "")), _text(told, "name")
    if not share or remote(told) is not None or name in {"", ".", ".."} or "/" in name:
        return "", ""
    return share, "/".join(part for part in (within(folder), quote(name, safe="")) if part)


def refuse_another(item: Item, told: Json) -> None:
    """Raise if what lies at an item's path is another one by now.

    Raises
    ------
    SourceNotFound
        If it is.
    """
    if within(item) and identity(told)[1] != item.item_id.partition("/")[2]:
        raise SourceNotFound(f"Where {item.name!r} was is another item now. Read the folder again.")


def version_of(item: Item) -> str:
    """Return the label of the older version that the item stands for, empty if for the present one."""
    return str(getattr(item, "version", ""))


def places_of(item: Item) -> list[tuple[str, dict[str, str]]]:
    """Return where Graph may be asked about an item, relative to its base, and the headers to do so.

    A link that is opened for one request at a time gives no right to the item by its id.
    """
    own: tuple[str, dict[str, str]] = (place(*item.item_id.partition("/")[::2]), {})
    if not (share := getattr(item, "share", "")):
        return [own]
    inner = within(item)
    return [(f"/shares/{share}/driveItem{f':/{inner}' if inner else ''}", REDEEM), own]


def part(place: str, rest: str) -> str:
    """Return where a part of what is at `place` is, as ``/content``: after a path it is told apart by a colon."""
    return f"{place}:{rest}" if place.startswith("/shares/") and ":/" in place else f"{place}{rest}"


def place(drive: str, inner: str) -> str:
    """Return where Graph has an item of a drive; both ids as Graph writes them."""
    return f"/drives/{quoted(drive)}/items/{quoted(inner)}"


def remote(told: Json) -> tuple[str, str] | None:
    """Return drive and item that a shortcut leads to, None if it is none."""
    target = _object(told, "remoteItem")
    drive, inner = _text(_object(target, "parentReference"), "driveId"), _text(target, "id")
    return (drive, inner) if drive and inner else None


def identity(told: Json) -> tuple[str, str]:
    """Return drive and item as Graph writes them; empty where it does not tell."""
    return _text(_object(told, "parentReference"), "driveId"), _text(told, "id")


def host(told: Json) -> str:
    """Return the host that the item is at, as the catalogue knows it."""
    if _text(_object(told, "parentReference"), "driveType") == "personal":
        return PERSONAL_HOST
    found = (urlsplit(_text(told, "webUrl")).hostname or "").lower()
    return PERSONAL_HOST if found == "1drv.ms" or found.endswith(".live.com") or not found else found


def path(told: Json) -> str:
    """Return the path within the drive, else that of the web address, for display."""
    name, (_, mark, outer) = _text(told, "name"), _text(_object(told, "parentReference"), "path").partition("root:")
    if mark:
        return "/".join(part for part in (unquote(outer).strip("/"), name) if part)
    return unquote(urlsplit(_text(told, "webUrl")).path).strip("/") or name


def name_of_root(told: Json) -> str:
    """Return what a drive is called: the last part of its address."""
    return unquote(urlsplit(_text(told, "webUrl")).path).rstrip("/").rpartition("/")[2]


def quoted(text: str) -> str:
    """Return an id or label as a part of a path."""
    return quote(text, safe=_IN_ID)


def is_folder(told: Json) -> bool:
    return isinstance(told.get("folder"), dict) or isinstance(told.get("root"), dict)


def web_url(told: Json, link: str) -> str:
    """Return a link that opens the item again, without secrets."""
    return redact_url(_text(told, "webUrl") or link)


def refuse_unreadable(told: Json) -> None:
    """Raise if the item is not made of bytes that may be had.

    Raises
    ------
    UnsafeLink
        If Microsoft 365 takes it for malware.
    UnsupportedItem
        If it is a notebook or another package, or nothing that could be named.
    """
    name = _text(told, "name")[:200]
    if isinstance(told.get("malware"), dict):
        raise UnsafeLink(f"{name!r} is taken for malware by Microsoft 365. Ask its owner for a clean copy.")
    if isinstance(package := told.get("package"), dict):
        kind = "a OneNote notebook" if package.get("type") == "oneNote" else f"a package ({package.get('type')})"
        raise UnsupportedItem(f"{name!r} is {kind}, which has no bytes of its own. Export what is needed as a file.")
    if isinstance(deleted := told.get("deleted"), dict) and deleted:
        raise UnsupportedItem(f"{name!r} is in the recycle bin. Ask its owner to restore it.")


def is_package(told: Json) -> bool:
    return isinstance(told.get("package"), dict)


def revision(told: Json) -> Revision:
    """Return the item's state: cTag changes with the bytes alone, eTag with anything."""
    token = _text(told, "cTag") or _text(told, "eTag")
    if not token:  # some items have neither: then what else changes with the bytes has to do
        token = f"modified:{_text(told, 'lastModifiedDateTime')};{told.get('size')}"
    return Revision(token[:MAX_TOKEN], size(told), modified_at(told), source_hash(told))


def size(told: Json) -> int | None:
    found = told.get("size")
    return found if isinstance(found, int) and not isinstance(found, bool) and found >= 0 else None


def modified_at(told: Json) -> datetime | None:
    """Return when it was changed last; UTC, without a zone as everywhere."""
    return moment(_text(told, "lastModifiedDateTime"))


def moment(text: str) -> datetime | None:
    """Return a time as Graph writes it: UTC, naive; None if it is none. Digits after microseconds are dropped."""
    head, dot, tail = text.rstrip("Z").partition(".")
    digits = tail[: len(tail) - len(tail.lstrip("0123456789"))] if dot else ""
    rest = tail[len(digits) :]
    try:
        found = datetime.fromisoformat(f"{head}{f'.{digits[:6]}' if digits else ''}{rest}")
    except ValueError:
        return None
    return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found


def hashes(told: Json) -> dict[str, str]:
    """Return the checksums that are told, names and values; there may be none."""
    return {name: value for name, value in _object(_object(told, "file"), "hashes").items() if isinstance(value, str)}


def source_hash(told: Json) -> str:
    """Return one of them with its name, empty if there is none: what the catalogue keeps beside the content."""
    found = hashes(told)
    named = (
        f"{name}:{found[name]}" for name in ("quickXorHash", "sha256Hash", "sha1Hash", "crc32Hash") if name in found
    )
    return next(named, "")[:128]


def download_url(told: Json) -> str:
    """Return the pre-authenticated address of the bytes; it is a secret, and short-lived."""
    return _text(told, "@microsoft.graph.downloadUrl") or _text(told, "@content.downloadUrl")


def login(identities: object, tenant: str) -> Login | None:
    """Return the user that an identitySet names, None if it names an application, a system account or nobody.

    Who has a personal account is called by 16 digits there, and by these in an object id when signing in.
    """
    user = _object(identities if isinstance(identities, dict) else {}, "user")
    if not (inner := _text(user, "id")):
        return None
    if tenant == PERSONAL_TENANT and _PERSONAL_ID.fullmatch(inner):
        digits = inner.rjust(16, "0")
        inner = f"00000000-0000-0000-{digits[:4]}-{digits[4:]}"
    shown = (_text(user, name) for name in ("userPrincipalName", "email", "displayName"))
    return Login(f"entra/{tenant}", inner.lower(), next(filter(None, shown), ""))


def _object(told: Json, name: str) -> Json:
    found = told.get(name)
    return found if isinstance(found, dict) else {}


def _text(told: Json, name: str) -> str:
    found = told.get(name)
    return found if isinstance(found, str) else ""
