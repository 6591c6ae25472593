"""Searches of the audit log in Graph, which take a while and are then read page by page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from servers.microsoft365.journal import FILE_OPERATION, Record
from servers.microsoft365.shapes import collection
from servers.microsoft365.web import Answer, Refusal, Request, Routes
from servers.microsoft365.world import Json, moment

routes = Routes()
KINDS = {6: "sharePointFileOperation", 14: "sharePointSharingOperation"}
PERMISSIONS = ("AuditLogsQuery.Read.All", "AuditLogsQuery-OneDrive.Read.All", "AuditLogsQuery-SharePoint.Read.All")
_PATH = "/security/auditLog/queries"


@dataclass(eq=False)
class Search:
    """A search; it runs until it was asked about twice."""

    id: str
    body: Json
    asked: int = 0

    @property
    def status(self) -> str:
        return ("notStarted", "running", "succeeded")[min(self.asked, 2)]


@routes("POST", _PATH)
def begin(request: Request) -> Answer:
    _permitted(request)
    body = request.json()
    try:
        begins, ends = (moment(body[f"filter{name}DateTime"]) for name in ("Start", "End"))
    except (KeyError, ValueError, TypeError):
        raise Refusal(400, "BadRequest", "filterStartDateTime and filterEndDateTime are required times.") from None
    if begins >= ends:
        raise Refusal(400, "BadRequest", "filterStartDateTime has to be before filterEndDateTime.")
    found = Search(request.world.new_guid(), body)
    request.server.searches[found.id] = found
    return Answer(201, _shape(found))


@routes("GET", f"{_PATH}/{{key}}")
def state(request: Request, key: str) -> Answer:
    found = _search(request, key)
    found.asked += 1
    return Answer(200, _shape(found))


@routes("GET", f"{_PATH}/{{key}}/records")
def records(request: Request, key: str) -> Answer:
    """Return a page of what was found; there is nothing before the search has succeeded."""
    found = _search(request, key)
    place = request.server.links.place(request, "$skiptoken")
    if place is not None:
        rest = place.state
    elif found.status != "succeeded":
        rest = []
    else:
        rest = [record for record in request.world.journal if _matches(request, found.body, record)]
    most = request.world.pages.users
    links = {"nextLink": request.server.links.next(request, rest[most:])} if len(rest) > most else {}
    values = [_record(record) for record in rest[:most]]
    return Answer(200, collection(request, "security/auditLog/queries/records", values, **links))


def _matches(request: Request, body: Json, record: Record) -> bool:
    begins, ends = moment(body["filterStartDateTime"]), moment(body["filterEndDateTime"])
    if record.available > request.world.now() or not begins <= record.happened < ends:
        return False
    tests: dict[str, Any] = {
        "recordTypeFilters": KINDS[record.body["RecordType"]],
        "operationFilters": record.body["Operation"],
        "userPrincipalNameFilters": record.body["UserId"],
        "objectIdFilters": record.body["ObjectId"],
        "serviceFilter": record.body["Workload"],
    }
    return all(not body.get(name) or value in _several(body[name]) for name, value in tests.items()) and _permits(
        request, record
    )


def _several(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _permits(request: Request, record: Record) -> bool:
    return request.grant.has(PERMISSIONS[0], f"AuditLogsQuery-{record.body['Workload']}.Read.All")


def _record(record: Record) -> Json:
    body = record.body
    kind = KINDS[body["RecordType"]]
    name = "sharePointFileOperationAuditRecord" if body["RecordType"] == FILE_OPERATION else "sharePointAuditRecord"
    return {
        "id": body["Id"],
        "createdDateTime": f"{body['CreationTime']}Z",
        "auditLogRecordType": kind,
        "operation": body["Operation"],
        "organizationId": body["OrganizationId"],
        "userType": "regular" if body["UserType"] == 0 else "system",
        "userId": body["UserKey"],
        "service": body["Workload"],
        "objectId": body["ObjectId"],
        "userPrincipalName": body["UserId"],
        "clientIp": body["ClientIP"],
        "administrativeUnits": [""],
        "auditData": {"@odata.type": f"#microsoft.graph.security.{name}", **body},
    }


def _shape(search: Search) -> Json:
    names = ("displayName", "filterStartDateTime", "filterEndDateTime", "keywordFilter", "serviceFilter")
    lists = ("recordTypeFilters", "operationFilters", "userPrincipalNameFilters", "objectIdFilters")
    body = {**{name: search.body.get(name) for name in names}, **{name: search.body.get(name, []) for name in lists}}
    return {"@odata.type": "#microsoft.graph.security.auditLogQuery", "id": search.id, **body, "status": search.status}


def _search(request: Request, key: str) -> Search:
    _permitted(request)
    found = request.server.searches.get(key)
    if found is None:
        raise Refusal(404, "NotFound", "The query does not exist.")
    return found


def _permitted(request: Request) -> None:
    if not request.grant.has(*PERMISSIONS):
        raise Refusal(403, "Forbidden", "The caller may not search the audit log.")
