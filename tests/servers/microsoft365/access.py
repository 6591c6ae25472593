"""Who may do what: permissions of the token, and of the person behind it."""

from __future__ import annotations

from servers.microsoft365.library import Drive, Item
from servers.microsoft365.web import Refusal, Request

READ = ("Files.Read.All", "Files.ReadWrite.All", "Sites.Read.All", "Sites.ReadWrite.All", "Sites.FullControl.All")
WRITE = ("Files.ReadWrite.All", "Sites.ReadWrite.All", "Sites.FullControl.All")
OWN = ("Files.Read", "Files.ReadWrite")
FULL = "Sites.FullControl.All"
SELECTED = ("Sites.Selected", "Files.SelectedOperations.Selected")


def require(request: Request, *permissions: str) -> None:
    """Refuse a token that has none of the permissions; those of people's own are for people only.

    Raises
    ------
    Refusal
        403, in the words of the directory.
    """
    if not request.grant.has(*permissions):
        raise Refusal(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")


def require_files(request: Request, *permissions: str) -> None:
    """Refuse a token that has none of the permissions, in the words of the file services."""
    if not request.grant.has(*permissions):
        raise denied()


def denied() -> Refusal:
    return Refusal(403, "accessDenied", "Access denied", "accessDenied")


def missing() -> Refusal:
    return Refusal(404, "itemNotFound", "The resource could not be found.", "itemNotFound")


def allow(request: Request, item: Item, *, write: bool = False) -> None:
    """Refuse a caller who may not use an item."""
    if not (_scoped(request, item.drive, item, write=write) and _personally(request, item, write=write)):
        raise denied()


def allow_drive(request: Request, drive: Drive) -> None:
    """Refuse a caller who may not see a drive at all."""
    allow(request, drive.root)


def _scoped(request: Request, drive: Drive, item: Item, *, write: bool) -> bool:
    token = request.grant
    if token.has(*(WRITE if write else READ)):
        return True
    if token.user is not None and drive.owner is token.user and token.has(*OWN[write:]):
        return True
    roles = drive.site.granted.get(token.application.client_id, [])
    if token.has(SELECTED[0]) and any(not write or role != "read" for role in roles):
        return True
    return token.has(SELECTED[1]) and any(
        permission.grantee == token.application.id and (not write or permission.roles != ["read"])
        for permission, _ in request.world.of(item)
    )


def _personally(request: Request, item: Item, *, write: bool) -> bool:
    user = request.grant.user
    if user is None:
        return True
    if request.opened is not None and not write and request.opened in item.chain():
        return True
    return request.world.may(user, item, write=write)
