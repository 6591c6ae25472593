"""Where Microsoft's clouds are: each has its own addresses, and tokens of one are worth nothing in another."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from data_platform.errors import SettingsError
from data_platform.settings import Settings
from readers.addresses import Link


@dataclass(frozen=True, slots=True)
class Cloud:
    """Addresses of a cloud, and ends of the names of the hosts that its files come from."""

    graph: str
    login: str
    audit: str
    files: tuple[str, ...]


_FILES = (".sharepoint.com", ".svc.ms", ".1drv.com", ".livefilestore.com", ".storage.live.com")
CLOUDS = {
    "global": Cloud(
        "https://graph.microsoft.com", "https://login.microsoftonline.com", "https://manage.office.com", _FILES
    ),
    "gcc": Cloud(
        "https://graph.microsoft.com", "https://login.microsoftonline.com", "https://manage-gcc.office.com", _FILES
    ),
    "gcchigh": Cloud(
        "https://graph.microsoft.us",
        "https://login.microsoftonline.us",
        "https://manage.office365.us",
        (".sharepoint.us", ".svc.ms"),
    ),
    "dod": Cloud(
        "https://dod-graph.microsoft.us",
        "https://login.microsoftonline.us",
        "https://manage.protection.apps.mil",
        (".sharepoint-mil.us", ".svc.ms"),
    ),
    "china": Cloud(
        "https://microsoftgraph.chinacloudapi.cn",
        "https://login.partner.microsoftonline.cn",
        "https://manage.office365.cn",
        (".sharepoint.cn",),
    ),
}


@dataclass(frozen=True, slots=True)
class Places:
    """The addresses in force: those of the cloud, unless the settings name others.

    Attributes
    ----------
    graph
        With its version, as ``https://graph.microsoft.com/v1.0``.
    login, audit
        Without a path of the tenant.
    resource, audit_resource
        What tokens are for: the cloud's own services, wherever they are reached.
    own_login
        Whether the address to sign in at is one that MSAL knows.
    trusted
        Origins that the settings name, which may therefore be in a private network.
    files
        Ends of the names of the hosts that bytes may come from.
    """

    graph: str
    login: str
    audit: str
    resource: str
    audit_resource: str
    own_login: bool
    trusted: frozenset[str]
    files: tuple[str, ...]


def places(settings: Settings) -> Places:
    """Return the addresses that `settings` mean.

    Raises
    ------
    SettingsError
        If one is no https address: what is sent there opens files.
    """
    given, cloud = settings.microsoft365, CLOUDS[settings.microsoft365.cloud]
    named = {name: getattr(given, name).rstrip("/") for name in ("graph_url", "login_url", "audit_url")}
    for name, url in named.items():
        if url and urlsplit(url).scheme != "https":
            raise SettingsError(f"microsoft365.{name} is no https address. Write it as https://host[:port]/path.")
    return Places(
        graph=named["graph_url"] or f"{cloud.graph}/v1.0",
        login=named["login_url"] or cloud.login,
        audit=named["audit_url"] or cloud.audit,
        resource=cloud.graph,
        audit_resource=cloud.audit,
        own_login=not named["login_url"],
        trusted=frozenset(Link.parse(url).origin for url in named.values() if url),
        files=cloud.files,
    )
