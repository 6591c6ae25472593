"""What changed in a drive since a position that a client was told."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from servers.microsoft365.access import FULL
from servers.microsoft365.library import PERSONAL, Drive, Item
from servers.microsoft365.shapes import collection, delta_shape, selection
from servers.microsoft365.web import Answer, Refusal, Request
from servers.microsoft365.world import moment

PARAMETER = "token"
SHARING = {"deltashowremovedasdeleted", "deltatraversepermissiongaps", "deltashowsharingchanges"}
State = dict[str, Any]


def answer(request: Request, item: Item) -> Answer:
    """Return a page of the drive's delta: each item that changed once, by its last change."""
    drive = item.drive
    if item.parent is not None and drive.kind != PERSONAL:
        raise Refusal(400, "invalidRequest", "Delta is supported at the root of a drive only.", "notSupported")
    if drive.retention_labels and not request.grant.has(FULL):
        raise Refusal(403, "accessDenied", "Access denied", "accessDenied")
    state = _state(request, drive)
    if state.pop("nothing", False):
        return Answer(200, collection(request, "driveItems", [], deltaLink=_link(request, state, len(drive.log))))
    found, reached = _page(drive, state, request.world.pages.drive_delta)
    since = state["since"] if state["sharing"] else None
    values = [delta_shape(request, changed, state["chosen"], since) for changed in found]
    if request.world.quirks.repeat_in_delta and values:
        values.insert(0, dict(values[-1]))
    if reached < len(drive.log):
        links = {"nextLink": _link(request, state, reached)}
    else:
        links = {"deltaLink": _link(request, {**state, "since": reached}, reached)}
    return Answer(200, collection(request, "driveItems", values, **links))


def _state(request: Request, drive: Drive) -> State:
    asked = request.options.get(PARAMETER)
    sharing = _sharing(request)
    fresh = _start(drive, selection(request)) | {"sharing": sharing}
    if asked is None or asked == "":
        return fresh
    if asked == "latest":
        return {**fresh, "since": len(drive.log), "nothing": True}
    if (since := _since(asked)) is not None:
        start = _number_at(drive, since)
        return {**fresh, "after": start, "since": start}
    place = request.server.links.place(request, PARAMETER)
    assert place is not None
    if place.state["epoch"] != drive.epoch:
        raise _resync(request, drive)
    return {**place.state, "sharing": sharing}


def _start(drive: Drive, chosen: set[str] | None) -> State:
    return {"after": 0, "since": 0, "began": len(drive.log), "chosen": chosen, "epoch": drive.epoch, "sharing": False}


def _sharing(request: Request) -> bool:
    given = SHARING & request.preferences
    if given and given != SHARING:
        message = "deltashowremovedasdeleted, deltatraversepermissiongaps and deltashowsharingchanges go together."
        raise Refusal(400, "invalidRequest", message, "invalidRequest")
    return bool(given)


def _resync(request: Request, drive: Drive) -> Refusal:
    location = request.server.links.next(request, _start(drive, None), PARAMETER)
    if drive.resync.startswith("resyncChanges"):
        return Refusal(410, drive.resync, "Resync required.", Location=location)
    return Refusal(410, "resyncRequired", "Resync required.", drive.resync, Location=location)


def _page(drive: Drive, state: State, most: int) -> tuple[list[Item], int]:
    """Return items whose last change is after the position, and the position behind them."""
    found: list[Item] = []
    after = state["after"]
    while after < len(drive.log) and len(found) < most:
        key = drive.log[after]
        after += 1
        item = drive.items.get(key) or drive.bin.get(key)
        # Who starts afresh is not told about what was gone when he began; and of each item only the last change counts.
        gone = item is not None and item.deleted and state["since"] == 0 and after <= state["began"]
        if item is not None and item.change == after and not gone:
            found.append(item)
    return found, after


def _link(request: Request, state: State, after: int) -> str:
    return request.server.links.next(request, {**state, "after": after}, PARAMETER)


def _since(text: str) -> datetime | None:
    try:
        return moment(text)
    except ValueError:
        return None


def _number_at(drive: Drive, since: datetime) -> int:
    later = [i.change for i in (*drive.items.values(), *drive.bin.values()) if (i.modified or i.created) >= since]
    return min(later, default=len(drive.log) + 1) - 1
