"""Links into OneDrive, SharePoint and Teams: which ones there are, and what their text tells."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qs, quote, unquote

from data_platform.errors import UnknownSource, VersionUnavailable
from readers.addresses import Link

_SHAREPOINT = re.compile(r"[a-z0-9-]+\.(?:sharepoint\.(?:com|us|cn)|sharepoint-mil\.us)")
_PERSONAL = re.compile(r"(?:1drv\.ms|(?:[a-z0-9-]+\.)?onedrive\.live\.com)")
_TEAMS = re.compile(r"(?:[a-z0-9-]+\.)*teams\.(?:microsoft\.(?:com|us|cn)|cloud\.microsoft)|teams\.cloud\.microsoft")
_URL = re.compile(r"https?://(?P<host>[A-Za-z0-9.-]+)(?::\d+)?(?P<rest>[/?#].*)?", re.IGNORECASE | re.DOTALL)
# /:x:/r/… : the rest is a path; any other letter after it: the rest is opaque. What the first letter means is not told.
_SHORT = re.compile(r"/:[a-z]+:/(?P<how>[a-z])(?P<rest>/.*)?", re.IGNORECASE)
# Pages that show a folder or open a file, with the path in a parameter.
_PAGES = re.compile(r"(?P<library>.*?)/(?:Forms/[^/]+|_layouts/15/[^/]+)\.aspx", re.IGNORECASE)
_PATH_PARAMETERS = ("id", "rootfolder", "sourceurl", "parent")
_RESID = re.compile(r"(?P<drive>[0-9a-f]{6,16})![a-z0-9]+", re.IGNORECASE)
_CHANNEL = re.compile(r"/l/channel/(?P<channel>[^/?]+)(?:/[^?]*)?", re.IGNORECASE)
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_WANTED = re.compile(r"(?P<name>version|as-of)=(?P<value>[^&]+)")


def understands(url: str) -> bool:
    """Tell whether `url` leads into OneDrive, SharePoint or Teams files, from its text alone."""
    if not (match := _URL.fullmatch(url)):
        return False
    host = match["host"].lower()
    if _TEAMS.fullmatch(host):
        path, _, query = (match["rest"] or "").partition("#")[0].lower().partition("?")
        return "objecturl=" in query or ("groupid=" in query and bool(_CHANNEL.fullmatch(path)))
    return bool(_SHAREPOINT.fullmatch(host) or _PERSONAL.fullmatch(host))


@dataclass(frozen=True, slots=True)
class SharedLink:
    """A link as far as its text tells.

    Attributes
    ----------
    url
        What Graph is asked about.
    host
        In lower case.
    path
        Server-relative and decoded, as ``/sites/Lab/Shared Documents/plate 1.xlsx``; empty if the link hides it.
    personal
        Drive and item of a personal OneDrive; empty texts if it is none or hides them.
    channel
        Team and channel of Teams whose folder is meant; empty texts if none is.
    version, as_of
        An older version that is meant, by its label or by when it was the present one (UTC, naive).
    """

    url: str = field(repr=False)  # opens the item for whoever has it
    host: str
    path: str = ""
    personal: tuple[str, str] = ("", "")
    version: str = ""
    as_of: datetime | None = None
    channel: tuple[str, str] = ("", "")

    @classmethod
    def parse(cls, url: str) -> SharedLink:
        """Read a link of any of the forms that people copy.

        Raises
        ------
        UnknownSource
            If it is none.
        UnsafeLink
            If programs could disagree about where it leads.
        VersionUnavailable
            If ``#version=…`` or ``#as-of=…`` after it make no sense.
        """
        if not understands(url):
            raise UnknownSource(
                "This is no link into OneDrive, SharePoint or Teams files. Copy it with the button 'Copy link'."
            )
        bare, _, fragment = url.partition("#")
        link, version, as_of = Link.parse(bare), *_wanted(fragment)
        parameters = {name.lower(): values[0] for name, values in parse_qs(link.target.partition("?")[2]).items()}
        if _TEAMS.fullmatch(link.host) and (channel := _channel(link.path, parameters)):
            return cls(link.url, link.host, version=version, as_of=as_of, channel=channel)
        if _TEAMS.fullmatch(link.host):
            inner = cls.parse(parameters.get("objecturl", ""))
            return cls(inner.url, inner.host, inner.path, inner.personal, version, as_of)
        if _PERSONAL.fullmatch(link.host):
            return cls(link.url, link.host, "", _personal(parameters), version, as_of)
        path = _path(link.path, parameters)
        hidden = link.path if path is None else ""
        direct = link.url if hidden or _SHORT.match(link.path) or path == unquote(link.path) else _direct(link, path)
        return cls(direct, link.host, path or "", version=version, as_of=as_of)

    @property
    def token(self) -> str:
        """How Graph wants to be given a link."""
        return "u!" + base64.urlsafe_b64encode(self.url.encode()).decode().rstrip("=")

    @property
    def site_path(self) -> str:
        """The path of the site that `path` is in, empty for the root site."""
        parts = self.path.split("/")
        return "/".join(parts[:3]) if len(parts) > 2 and parts[1].lower() in {"sites", "teams", "personal"} else ""


def _path(raw: str, parameters: dict[str, str]) -> str | None:
    """Return the decoded path that a SharePoint link shows, None if it does not."""
    if short := _SHORT.fullmatch(raw):
        return unquote(short["rest"] or "") if short["how"].lower() == "r" else None
    if page := _PAGES.fullmatch(raw):
        for name in _PATH_PARAMETERS:
            if parameters.get(name, "").startswith("/"):
                return parameters[name].rstrip("/")
        return None if "/_layouts/" in raw.lower() else unquote(page["library"])
    return unquote(raw).rstrip("/")


def _channel(path: str, parameters: dict[str, str]) -> tuple[str, str] | None:
    """Return team and channel that a link of Teams leads to, None if it leads to a file."""
    if not (match := _CHANNEL.fullmatch(path)):
        return None
    if not _GUID.fullmatch(group := parameters.get("groupid", "")):
        raise UnknownSource("The link does not tell which team the channel is of. Copy it again with 'Get link'.")
    return group.lower(), unquote(match["channel"])


def _direct(link: Link, path: str | None) -> str:
    return f"https://{link.authority}{quote(path or '/')}"


def _personal(parameters: dict[str, str]) -> tuple[str, str]:
    for name in ("resid", "id"):
        if match := _RESID.fullmatch(parameters.get(name, "")):
            return match["drive"], match[0]
    return "", ""


def _wanted(fragment: str) -> tuple[str, datetime | None]:
    if not (match := _WANTED.fullmatch(fragment)):
        return "", None
    value = unquote(match["value"])
    if match["name"] == "version":
        return value, None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise VersionUnavailable(f"{value[:40]!r} is not a moment. Write it as 2026-05-01T12:00.") from error
    return "", moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
