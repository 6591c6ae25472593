"""People and groups from Microsoft Entra, by way of Graph: everything at first, then what has changed.

The position in the list of changes is asked for before everything is, so that what changes
meanwhile is told twice rather than never. A position that Graph does not take any more is as
good as none. Groups are read before people: whoever is in a group is known to be somebody.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from data_platform.errors import AccessDenied, ResyncRequired, SettingsError, SourceNotFound
from data_platform.settings import Settings
from populate.directory.entra_objects import Json, group_said, identifier, said_of, service_said
from populate.directory.feeds import Position
from populate.directory.picture import Picture
from readers.microsoft365.access import as_worker
from readers.microsoft365.graph import Graph

Say = Callable[[str], object]

_PROPERTIES = (
    "id,userPrincipalName,mail,displayName,jobTitle,department,accountEnabled,userType,employeeId,"
    "onPremisesSamAccountName,createdDateTime"
)
_USERS = f"/users?$select={_PROPERTIES}&$top=999&$expand=manager($select=id)"
_USERS_FROM_NOW = f"/users/delta?$select={_PROPERTIES},manager&$deltatoken=latest"
_GROUPS = "/groups/delta?$select=id,displayName,members"
_SERVICES = "/servicePrincipals?$select=id,appId,displayName,accountEnabled,createdDateTime&$top=999"
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NO_LONGER = (ResyncRequired, SourceNotFound)  # a stored position has been seen to be answered with 404, too


def read_entra(
    settings: Settings,
    positions: Mapping[str, Position],
    *,
    full: bool = False,
    say: Say = lambda text: None,
    graph: Graph | None = None,
) -> Picture:
    """Return what has changed since last time, or everything.

    Parameters
    ----------
    positions
        How far each feed was read.
    full
        Ask for everything, however far that was.
    graph
        To ask; default: as the worker's application.

    Raises
    ------
    SettingsError
        If no tenant is set.
    SourceError
        What Graph answers.
    """
    graph = graph or as_worker(settings)
    realm = f"entra/{_tenant(graph, settings)}"
    picture = Picture(realm=realm, complete=frozenset(), groups_complete=False)
    reading = _Reading(graph, picture, {} if full else positions, say)
    if settings.directory.groups:
        reading.groups()
    reading.users()
    reading.services()
    return picture


def _tenant(graph: Graph, settings: Settings) -> str:
    tenant = settings.microsoft365.tenant
    if not tenant:
        raise SettingsError("Set microsoft365.tenant, see docs/how-to/people.md.")
    if _GUID.fullmatch(tenant):
        return tenant.lower()
    found = graph.get("/organization?$select=id").get("value")
    key = identifier(found[0]) if isinstance(found, list) and found else ""
    if not key:
        raise SettingsError("Graph does not tell the tenant's id. Set microsoft365.tenant to the id.")
    return key


class _Reading:
    """One reading of a tenant, which fills a picture."""

    def __init__(self, graph: Graph, picture: Picture, positions: Mapping[str, Position], say: Say) -> None:
        self._graph = graph
        self._picture = picture
        self._positions = positions
        self._say = say

    def users(self) -> None:
        """Read users with their managers: guests, disabled and deleted ones, too."""
        feed = f"{self._picture.realm}/users"
        if token := self._token(feed):
            try:
                self._changes(feed, token, self._user, "accounts that changed")
                return
            except _NO_LONGER:
                self._picture.people.clear()
                self._say("the list of changes does not reach back far enough: everybody is read again")
        self._changes(feed, _USERS_FROM_NOW, self._user, "")
        self._list(_USERS, lambda found: self._user(found, everything=True), "accounts")
        self._picture.complete |= {"person", "guest"}

    def groups(self) -> None:
        """Read groups with the members that they have themselves."""
        feed = f"{self._picture.realm}/groups"
        try:
            if token := self._token(feed):
                try:
                    self._changes(feed, token, self._group, "groups that changed")
                    return
                except _NO_LONGER:
                    self._picture.groups.clear()
                    self._say("the list of changes does not reach back far enough: all groups are read again")
            self._changes(feed, _GROUPS, lambda found: self._group(found, everything=True), "groups")
            self._picture.groups_complete = True
        except AccessDenied:
            self._picture.groups.clear()
            self._picture.odd.append("Groups were left out: the application lacks GroupMember.Read.All.")

    def services(self) -> None:
        """Read service principals, which have no list of changes that is told of."""
        try:
            self._list(_SERVICES, self._service, "applications")
            self._picture.complete |= {"service"}
        except AccessDenied:
            self._picture.odd.append("Applications were left out: ours lacks Application.Read.All.")

    def _token(self, feed: str) -> str:
        return self._positions[feed].token if feed in self._positions else ""

    def _changes(self, feed: str, url: str, take: Callable[[Json], object], what: str) -> None:
        link = self._list(url, take, what)
        if link:
            self._picture.positions[feed] = link

    def _list(self, url: str, take: Callable[[Json], object], what: str) -> str:
        """Take all parts of a list; return where its changes go on."""
        number, link = 0, ""
        for page in self._graph.pages(url):
            for found in page.value:
                take(found)
            number, link = number + len(page.value), page.delta_link or link
            if what:
                self._say(f"{number} {what}")
        return link

    def _user(self, found: Json, *, everything: bool = False) -> None:
        if key := identifier(found):
            self._picture.person(key, said_of(found, everything=everything))
        else:
            self._odd("A user", found)

    def _service(self, found: Json) -> None:
        if key := identifier(found):
            self._picture.person(key, service_said(found))
        else:
            self._odd("An application", found)

    def _group(self, found: Json, *, everything: bool = False) -> None:
        if key := identifier(found):
            group_said(self._picture.group(key), found, everything=everything)
        else:
            self._odd("A group", found)

    def _odd(self, what: str, found: Json) -> None:
        name: Any = found.get("displayName")
        self._picture.odd.append(f"{what} without an id ({str(name)[:64]}) was left out.")
