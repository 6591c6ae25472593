"""The unified audit log: a record for what somebody did."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from servers.microsoft365.library import PERSONAL, Actor, Item
from servers.microsoft365.people import Application, People, User
from servers.microsoft365.world import Json, changing

FILE_OPERATION, SHARING_OPERATION = 6, 14
SYSTEM_LOGIN = "SHAREPOINT\\system"


@dataclass(frozen=True, slots=True)
class Record:
    """A record and when it became available, which is after it happened."""

    happened: datetime
    available: datetime
    body: Json


@dataclass(frozen=True, slots=True)
class Blob:
    """Some records of a content type, in no order; some of them are in another blob, too."""

    key: str
    kind: str
    created: datetime
    records: tuple[Record, ...]


class Journal(People):
    """What happened, in the order in which it did."""

    def __init__(self, name: str = "contoso", seed: int = 1) -> None:
        super().__init__(name, seed)
        self.journal: list[Record] = []
        self.blobs: dict[str, Blob] = {}
        self._waiting: list[Record] = []
        self.log_delay = timedelta()
        """How long what happens from now on takes until it is in the audit log."""
        self.quiet = False
        """While True nothing is recorded; a large tenant's past would only fill memory."""

    def record(
        self,
        operation: str,
        by: Actor,
        item: Item,
        *,
        kind: int = FILE_OPERATION,
        before: str = "",
        through: Application | None = None,
        correlation: str = "",
        **more: Any,
    ) -> None:
        """Write down what somebody did to an item, which was at the address `before`."""
        if self.quiet or item.drive.kind == PERSONAL:
            return
        site = item.drive.site
        relative = [item.drive.folder, *item.parts[:-1]]
        where = self._where(site.url, relative, item, kind)
        if before:
            where = _moved(where, before, site.url)
        self._write(operation, by, kind, correlation, through, {**where, **self._about(item), **more})

    def _write(
        self, operation: str, by: Actor, kind: int, correlation: str, through: Application | None, more: Json
    ) -> None:
        now = self.now()
        login, sort = _login(by)
        context: Json = {"CorrelationId": correlation or self.new_guid(), "AADSessionId": self.new_guid()}
        if through is not None:
            context |= {"ClientAppId": through.client_id, "ClientAppName": through.name}
        common = {
            "AppAccessContext": context,
            "CreationTime": now.strftime("%Y-%m-%dT%H:%M:%S"),
            "Id": self.new_guid(),
            "Operation": operation,
            "OrganizationId": self.tenant_id,
            "RecordType": kind,
            "UserKey": f"i:0h.f|membership|{login}",
            "UserType": sort,
            "Version": 1,
            "Workload": "OneDrive" if "-my.sharepoint.com" in str(more.get("SiteUrl")) else "SharePoint",
            "ClientIP": "203.0.113.7",
            "UserId": login,
            "CorrelationId": context["CorrelationId"],
            "EventSource": "SharePoint",
            "UserAgent": "Mozilla/5.0",
        }
        found = Record(now, now + self.log_delay, {**common, **more})
        self.journal.append(found)
        self._waiting.append(found)

    @changing
    def collect(self) -> list[Blob]:
        """Put the records that became available into blobs, and return all blobs."""
        now = self.now()
        ready = sorted((one for one in self._waiting if one.available <= now), key=lambda one: one.available)
        self._waiting = [one for one in self._waiting if one.available > now]
        for start in range(0, len(ready), self.pages.records):
            self._pack(ready[start : start + self.pages.records])
        return list(self.blobs.values())

    def _pack(self, records: list[Record]) -> None:
        created = records[-1].available
        if self.blobs and self.quirks.repeat_in_log:
            records = [*records, self.random.choice(list(self.blobs.values())[-1].records)]
        self.random.shuffle(records)
        key = "$".join(("".join(self.random.choices("0123456789", k=12)), self.new_guid().replace("-", ""), "04"))
        self.blobs[key] = Blob(key, "Audit.SharePoint", created, tuple(records))

    @staticmethod
    def _where(site_url: str, relative: list[str], item: Item, kind: int) -> Json:
        # The address of the site ends with a slash, and the path lacks the name, only in records of file operations.
        sharing = kind == SHARING_OPERATION
        return {
            "ObjectId": item.url,
            "SiteUrl": site_url if sharing else f"{site_url}/",
            "SourceRelativeUrl": "/".join([*relative, item.name] if sharing else relative),
            "SourceFileName": item.name,
            "SourceFileExtension": item.name.rpartition(".")[2] if item.is_file else "",
        }

    @staticmethod
    def _about(item: Item) -> Json:
        return {
            "Site": item.drive.site.guid,
            "WebId": item.drive.site.web,
            "ListId": item.drive.list_id,
            "ListItemUniqueId": item.guid,
            "ItemType": "File" if item.is_file else "Folder",
        }


def _moved(where: Json, before: str, site_url: str) -> Json:
    folder, _, name = before.removeprefix(f"{site_url}/").rpartition("/")
    return {
        **where,
        "ObjectId": before,
        "SourceRelativeUrl": folder.replace("%20", " "),
        "SourceFileName": name.replace("%20", " "),
        "DestinationRelativeUrl": where["SourceRelativeUrl"],
        "DestinationFileName": where["SourceFileName"],
        "DestinationFileExtension": where["SourceFileExtension"],
    }


def _login(by: Actor) -> tuple[str, int]:
    if isinstance(by, User):
        return by.upn, 10 if by.guest else 0
    return (SYSTEM_LOGIN, 4) if by is None else ("app@sharepoint", 5)
