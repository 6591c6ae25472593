"""From the records of the source's own log to acts of sharing and reads.

One act leaves several records with one correlation id: groups that SharePoint makes for links,
levels that it needs to let somebody through to a file. Those are left out, and of the others
one act for each item and target remains. Operations are an open set: what is known as a read
is counted as one, what has to do with sharing is an act, everything else is nothing to us.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from populate.sharing.parsing import Json, guid, moment, number, part, text
from schemas.identity import identity

READS = frozenset(
    {
        *("fileaccessed", "fileaccessedextended", "filedownloaded", "filepreviewed"),
        "filesyncdownloadedfull",
    }
)
SHARING = re.compile(
    r"(sharing|accessinvitation|accessrequest|anonymouslink|companylink|securelink|sharedlink|sharinglink"
    r"|addedto|removedfrom)",
    re.IGNORECASE,
)
_MACHINES = (4, 5, 6)  # the system itself and applications, as the worker that makes backups
_EXCLUDED = re.compile(r"(securelink(created|deleted|used|updated)|.*inheritance.*)$", re.IGNORECASE)
# Groups and levels that SharePoint makes for itself while somebody shares.
_TECHNICAL = re.compile(r"(limited access system group|system\.limited|sharinglinks\.|limitedaccess)", re.IGNORECASE)
_LINKS = {"anonymouslink": "anonymous", "companylink": "organization"}
# The vendor's XML is none: names hold blanks, as <Permissions granted>Contribute</Permissions granted>.
_EVENT_DATA = re.compile(r"<([^<>/]+)>([^<>]*)</\1>")


@dataclass(frozen=True, slots=True, order=True)
class Logged:
    """What somebody did to an item, as the log tells.

    Attributes
    ----------
    log_item
        Unique id of the item: 32 digits; empty if the log does not tell.
    actor
        Who did it: the name that people sign in with, or the source's own for itself.
    target
        Whom or what it was shared with; empty for reads.
    detail
        Level that was granted, where the log tells.
    """

    at: datetime
    operation: str
    log_item: str
    actor: str
    record_id: str
    correlation: str = ""
    target: str = ""
    target_is_account: bool = False
    detail: str = ""

    @property
    def is_read(self) -> bool:
        return self.operation.lower() in READS


def logged(records: Iterable[object]) -> Iterator[Logged]:
    """Yield what records tell of reads and of sharing, in their order; whatever else they are is left out."""
    for record in records:
        found = _logged(part({"one": record}, "one"))
        if found is not None:
            yield found


def acts(found: Iterable[Logged]) -> list[Logged]:
    """Return the acts of sharing, each once: the first of the records with the same correlation, item and target."""
    first: dict[tuple[str, ...], Logged] = {}
    for one in sorted(found):
        if not one.is_read:
            key = (one.correlation or one.record_id, one.log_item, one.target.lower())
            first.setdefault(key, one)
    return list(first.values())


def event_identity(system: str, act: Logged) -> str:
    """Return the identity of an act: the same whichever of its records came, and however often."""
    return identity("share event", system, act.correlation or act.record_id, act.log_item, act.target.lower())


def record_identity(system: str, record_id: str) -> str:
    """Return the identity of a record."""
    return identity("log record", system, record_id)


def event_data(written: str) -> dict[str, str]:
    """Return names and values of the `EventData` of a record, which looks like XML and is none."""
    return {name.strip(): value.strip() for name, value in _EVENT_DATA.findall(written)}


def _logged(record: Json) -> Logged | None:
    operation, at = text(record, "Operation"), moment(text(record, "CreationTime"))
    record_id = text(record, "Id")
    is_read = operation.lower() in READS
    if at is None or not record_id or not (is_read or SHARING.match(operation)):
        return None
    if is_read:
        target = ""
        if _is_page(record) or number(record, "UserType") in _MACHINES:
            return None
    else:
        target = _target(record, operation)
        if _EXCLUDED.match(operation) or _TECHNICAL.match(target):
            return None
    kind = text(record, "TargetUserOrGroupType").lower()
    return Logged(
        at=at,
        operation=operation[:64],
        log_item=guid(text(record, "ListItemUniqueId")),
        actor=(text(record, "UserId") or text(record, "UserKey"))[:255],
        record_id=record_id,
        correlation=text(record, "CorrelationId") or text(record, "AppAccessContext", "CorrelationId"),
        target=target[:255],
        target_is_account=bool(target) and kind in ("member", "guest", "partner", "") and "@" in target,
        detail=event_data(text(record, "EventData")).get("Permissions granted", "")[:255],
    )


def _target(record: Json, operation: str) -> str:
    named = text(record, "TargetUserOrGroupName") or text(record, "UserSharedWith")
    if named:
        return named.rpartition("|")[2] if "|membership|" in named else named
    return next((scope for start, scope in _LINKS.items() if operation.lower().startswith(start)), "")


def _is_page(record: Json) -> bool:
    """Tell whether a page that lists files was looked at: the source calls that a read, too."""
    name = text(record, "SourceFileName").lower()
    return name.endswith(".aspx") or text(record, "ItemType").lower() in ("list", "web", "site", "page")
