"""What goes wrong at the stand-in on demand, and batches, in which it goes wrong for each request by itself."""

from __future__ import annotations

import base64
from http.client import IncompleteRead

import pytest
from servers.microsoft365 import Tenant
from servers.microsoft365.budget import Budget, units
from servers.microsoft365.people import Application, User
from servers.microsoft365.server import Server
from standin_client import Client


@pytest.fixture
def amy(tenant: Tenant) -> User:
    return tenant.add_user("Amy Adams")


@pytest.fixture
def app(tenant: Tenant) -> Application:
    return tenant.add_application("Data Platform", application="Files.Read.All Files.ReadWrite.All User.Read.All")


@pytest.fixture
def worker(server: Server, app: Application) -> Client:
    return Client(server, server.token(app))


def test_each_nth_request_is_throttled_and_who_does_not_wait_is_noted(server: Server, worker: Client) -> None:
    server.faults.throttle_every, server.faults.wait_seconds = 2, 3600.5
    assert worker.get("/users").status == 200
    throttled = worker.get("/users")
    assert (throttled.status, throttled.headers["retry-after"]) == (429, "3600.500")
    assert server.faults.impatient == []
    assert worker.get("/users?$top=5").status == 200
    assert server.faults.impatient == ["GET /v1.0/users?$top=5"]
    assert (server.faults.throttled, server.count("GET /v1.0/users"), server.counts["GET /users"]) == (1, 3, 2)


def test_planned_faults_hit_what_they_are_meant_for(server: Server, worker: Client) -> None:
    server.faults.throttle("GET /v1.0/users", retry_after="Sun, 29 Nov 2126 18:00:00 GMT", status=503)
    server.faults.plan(410, "resyncRequired", "users/delta", 2, "resyncApplyDifferences", Location="https://elsewhere")
    assert worker.get("/groups").status == 403
    first = worker.get("/users")
    assert (first.status, first.code) == (503, "serviceNotAvailable")
    assert first.headers["retry-after"].endswith("GMT")
    assert worker.get("/users").status == 200
    assert server.faults.impatient == ["GET /v1.0/users"]
    gone = [worker.get("/users/delta") for _ in range(3)]
    assert [answer.status for answer in gone] == [410, 410, 200]
    assert gone[0].headers["location"] == "https://elsewhere"
    assert gone[0].json["error"]["innererror"]["code"] == "resyncApplyDifferences"


def test_what_is_used_up_is_told_and_then_refused(tenant: Tenant, server: Server, amy: User, worker: Client) -> None:
    item = tenant.upload(tenant.add_drive(amy), "a.csv", b"x", amy)
    server.faults.budget = Budget(limit=20, seconds=3600)
    target = f"/drives/{item.drive.id}/items/{item.id}/permissions"
    answers = [worker.get(target) for _ in range(5)]
    assert [answer.status for answer in answers] == [200, 200, 200, 200, 429]
    assert "ratelimit-limit" not in answers[2].headers
    assert answers[3].headers["ratelimit-remaining"] == "0"
    assert float(answers[4].headers["retry-after"]) > 0


def test_requests_have_a_price() -> None:
    assert units("/v1.0/drives/d/items/i/permissions") == 5
    assert units("/v1.0/drives/d/root/delta") == 2
    assert units("/v1.0/drives/d/root/delta?token=x") == 1
    assert units("/v1.0/drives/d/items/i/children?$top=2") == 2
    assert units("/v1.0/drives/d/items/i") == 1
    assert units("/v1.0/users") == 0


def test_downloads_are_cut_and_refused(tenant: Tenant, server: Server, amy: User, worker: Client) -> None:
    item = tenant.upload(tenant.add_drive(amy), "a.csv", b"x" * 1000, amy)
    address = worker.get(f"/drives/{item.drive.id}/items/{item.id}/content").headers["location"]
    server.faults.cut_downloads(act=lambda: tenant.edit(item, b"y" * 1000, amy))
    with pytest.raises(IncompleteRead) as cut:
        worker.get(address)
    assert cut.value.partial == b"x" * 500
    assert item.versions[-1].number == 2
    server.faults.plan(503, "", "download", Retry_After="0.5")
    assert worker.get(address).status == 503
    assert worker.get(address).content == b"x" * 1000


def test_a_batch_answers_each_request_by_itself(tenant: Tenant, server: Server, amy: User, worker: Client) -> None:
    item = tenant.upload(tenant.add_drive(amy), "a.csv", b"x", amy)
    place = f"/drives/{item.drive.id}/items/{item.id}"
    server.faults.throttle("children", retry_after="0.001")
    requests = [
        {"id": "1", "method": "GET", "url": f"{place}?$select=id"},
        {"id": "2", "method": "GET", "url": f"/drives/{item.drive.id}/root/children"},
        {"id": "3", "method": "GET", "url": f"{place}/content"},
        {"id": "4", "method": "GET", "url": "/users", "dependsOn": ["2"]},
        {"id": "5", "method": "GET", "url": "/drives/none/root"},
    ]
    answer = worker.post("/$batch", {"requests": requests})
    assert answer.status == 200
    found = {one["id"]: one for one in answer.json["responses"]}
    assert [one["id"] for one in answer.json["responses"]] != list("12345")
    assert {key: one["status"] for key, one in found.items()} == {"1": 200, "2": 429, "3": 302, "4": 424, "5": 404}
    assert found["1"]["body"]["id"] == item.id
    assert found["2"]["headers"]["Retry-After"] == "0.001"
    assert worker.get(found["3"]["headers"]["Location"]).content == b"x"
    assert worker.post("/$batch", {"requests": requests * 5}).status == 400
    assert (
        worker.post("/$batch", {"requests": [{"id": "1", "method": "GET", "url": server.graph_url}]}).json["responses"][
            0
        ]["status"]
        == 400
    )


def test_some_addresses_are_known_to_the_list_only(tenant: Tenant, amy: User, worker: Client) -> None:
    item = tenant.upload(tenant.add_drive(amy), "a.csv", b"x", amy)
    token = "u!" + base64.urlsafe_b64encode(item.url.encode()).decode().rstrip("=")
    assert worker.get(f"/shares/{token}/driveItem").json["id"] == item.id
    tenant.quirks.only_list_item = True
    assert worker.get(f"/shares/{token}/driveItem").status == 400
    assert worker.get(f"/shares/{token}/listItem").json["sharepointIds"]["listItemUniqueId"] == item.guid
    tenant.quirks.refuse_plain_addresses = True
    assert worker.get(f"/shares/{token}/listItem").status == 403
