"""From what a source says of an item to what we note of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from populate.sharing.parsing import Json, guid, moment, number, part, several, text
from schemas.identity import file_id

FILE, FOLDER, PACKAGE, GONE = "file", "folder", "package", "gone"
SELECT = (
    "id,name,size,eTag,cTag,webUrl,createdBy,lastModifiedDateTime,parentReference,"
    "file,folder,package,root,deleted,shared,remoteItem,sharepointIds"
)
"""What is asked of an item; nothing else is sent to us."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An item as the source describes it now.

    Attributes
    ----------
    item_id
        ``drive/item``, as the catalogue knows it.
    key, parent_key
        Identities of the item and of its folder; the root's folder is the root itself.
    parent_id
        ``drive/item`` of its folder.
    shared
        Scope of its own sharing; empty = it has none, or the source does not tell.
    sharing_changed
        The source says that who may see it, or what is in it, has changed.
    log_item
        What the source's log calls it; empty = not told.
    owner
        Id of the account that made it; empty = not told.
    """

    item_id: str
    key: str
    parent_key: str
    parent_id: str
    name: str
    kind: str
    token: str
    size: int
    shared: str
    sharing_changed: bool
    log_item: str
    owner: str
    is_root: bool = False

    @property
    def state(self) -> tuple[str, str, str, str, int, str]:
        """What is noted down when it changes."""
        return (self.parent_key, self.name, self.kind, self.token, self.size, self.shared)

    def gone(self) -> Seen:
        """Return the same item, which is not there any more."""
        return replace(self, kind=GONE, token="", size=-1, shared="")


def seen(item: Json, system: str, drive: str) -> Seen | None:
    """Return what `item` tells; None if it has no id, or lies elsewhere and is only referred to here.

    Parameters
    ----------
    item
        As the source sends it.
    system, drive
        Source system and the source's id of the drive that was asked.
    """
    own_id = text(item, "id")
    if not own_id or part(item, "remoteItem"):
        return None
    item_id = f"{drive}/{own_id}"
    key = file_id(system, item_id)
    is_root = isinstance(item.get("root"), dict)
    parent = text(item, "parentReference", "id")
    parent_id = item_id if is_root or not parent else f"{drive}/{parent}"
    kind = _kind(item)
    return Seen(
        item_id=item_id,
        key=key,
        parent_key=file_id(system, parent_id),
        parent_id=parent_id,
        name=text(item, "name"),
        kind=kind,
        token=(text(item, "eTag") or text(item, "cTag"))[:512]
        if kind != GONE
        else "",  # lists of changes leave cTag out
        size=number(item, "size") if kind == FILE else -1,
        shared=(text(item, "shared", "scope") or "own")[:32] if isinstance(item.get("shared"), dict) else "",
        sharing_changed=str(item.get("@microsoft.graph.sharedChanged", "")).lower() == "true",
        log_item=guid(text(item, "sharepointIds", "listItemUniqueId")) or guid(text(item, "eTag")),
        owner=text(item, "createdBy", "user", "id").lower(),
        is_root=is_root,
    )


def _kind(item: Json) -> str:
    if isinstance(item.get("deleted"), dict):
        return GONE
    if isinstance(item.get("file"), dict):
        return FILE
    if isinstance(item.get("folder"), dict) or isinstance(item.get("root"), dict):
        return FOLDER
    return PACKAGE


@dataclass(frozen=True, slots=True)
class OldVersion:
    """A version in the source's own history."""

    label: str
    modified_at: datetime
    author: str
    size: int


def old_versions(answer: Json) -> list[OldVersion]:
    """Return the versions that a source lists, without those that tell neither id nor time."""
    found: dict[str, OldVersion] = {}
    for one in several(answer, "value"):
        label, modified_at = text(one, "id"), moment(text(one, "lastModifiedDateTime"))
        if label and modified_at is not None:
            who = part(one, "lastModifiedBy", "user") or part(one, "lastModifiedBy", "application")
            author = text(who, "email") or text(who, "id").lower() or text(who, "displayName")
            found.setdefault(label[:255], OldVersion(label[:255], modified_at, author[:255], number(one, "size")))
    return list(found.values())
