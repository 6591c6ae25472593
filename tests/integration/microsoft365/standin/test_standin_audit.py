"""The stand-in's audit log: the feed with its windows, pages, doubles and disorder, and searches in Graph."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from servers.microsoft365 import Tenant
from servers.microsoft365.people import Application, User
from servers.microsoft365.server import Server
from servers.microsoft365.tokens import AUDIT
from servers.microsoft365.world import stamp
from standin_client import Client, Got

KIND = "contentType=Audit.SharePoint"
PUBLISHER = "PublisherIdentifier=0b9d6b9e-6f1a-4d3c-8a52-2f7f5a1c9e10"


@pytest.fixture
def app(tenant: Tenant) -> Application:
    return tenant.add_application(
        "Data Platform", application="ActivityFeed.Read Files.Read.All AuditLogsQuery-OneDrive.Read.All"
    )


@pytest.fixture
def amy(tenant: Tenant) -> User:
    return tenant.add_user("Amy Adams")


@pytest.fixture
def worker(server: Server, app: Application) -> Client:
    return Client(server, server.token(app, None, "ActivityFeed.Read", audience=AUDIT))


def ask(worker: Client, path: str, method: str = "GET") -> Got:
    root = f"{worker.server.url}/api/v1.0/{worker.server.tenant.tenant_id}/activity/feed"
    return worker.send(method, f"{root}{path}")


def window(tenant: Tenant, hours_ago: float, hours: float) -> str:
    begin = tenant.now() - timedelta(hours=hours_ago)
    end = begin + timedelta(hours=hours)
    return f"startTime={begin:%Y-%m-%dT%H:%M:%S}&endTime={end:%Y-%m-%dT%H:%M:%S}"


def everything(worker: Client, times: str) -> list[Any]:
    """Return the records of every blob of a window, as often as they are there."""
    found: list[Any] = []
    got = ask(worker, f"/subscriptions/content?{KIND}&{times}&{PUBLISHER}")
    while True:
        assert got.status == 200, got.content
        for blob in got.json:
            found += worker.get(f"{blob['contentUri']}?{PUBLISHER}").json
        if "nextpageuri" not in got.headers:
            return found
        got = worker.get(got.headers["nextpageuri"])


def test_what_people_do_is_in_the_log_more_than_once(tenant: Tenant, amy: User, worker: Client) -> None:
    assert ask(worker, f"/subscriptions/start?{KIND}&{PUBLISHER}", "POST").json["status"] == "enabled"
    tenant.pages.records, tenant.pages.blobs = 3, 1
    drive = tenant.add_drive(amy)
    bob = tenant.add_user("Bob Brown")
    item = tenant.upload(drive, "Lab/results.csv", b"x", amy)
    [permission] = tenant.share(item, amy, bob)
    tenant.rename(item, "final.csv", amy)
    tenant.revoke(item, permission, amy)
    tenant.look(drive, bob)
    tenant.share(item, amy, "eve@fabrikam.com")
    tenant.delete(item, amy)
    found = everything(worker, window(tenant, 1, 2))
    times = Counter(record["Id"] for record in found)
    assert times.keys() == {record.body["Id"] for record in tenant.journal}
    assert max(times.values()) > 1
    by_operation = {record["Operation"]: record for record in found}
    assert {"FileUploaded", "SharingSet", "FileRenamed", "SharingRevoked", "FileRecycled"} <= by_operation.keys()
    assert by_operation["FileAccessed"]["ObjectId"].endswith("/Documents/Forms/All.aspx")
    assert by_operation["AccessInvitationCreated"]["TargetUserOrGroupName"] == "eve@fabrikam.com"
    renamed = by_operation["FileRenamed"]
    assert (renamed["SourceFileName"], renamed["DestinationFileName"]) == ("results.csv", "final.csv")
    assert renamed["SourceRelativeUrl"] == "Documents/Lab"
    assert renamed["SiteUrl"].endswith("/")
    shared = [record for record in found if record["Operation"] == "SharingSet" and "Member" in record.values()]
    assert shared[0]["TargetUserOrGroupName"] == bob.upn
    assert shared[0]["SourceRelativeUrl"] == "Documents/Lab/results.csv"
    assert shared[0]["ListItemUniqueId"] == item.guid
    assert datetime.fromisoformat(renamed["CreationTime"]).tzinfo is None


def test_a_download_is_in_the_log(tenant: Tenant, server: Server, app: Application, amy: User, worker: Client) -> None:
    item = tenant.upload(tenant.add_drive(amy), "results.csv", b"x", amy)
    reader = Client(server, server.token(app, amy, "Files.Read"))
    reader.get(reader.get("/me/drive/root:/results.csv:/content").headers["location"])
    record = tenant.journal[-1].body
    assert (record["Operation"], record["UserId"]) == ("FileDownloaded", amy.upn)
    assert record["AppAccessContext"]["ClientAppId"] == app.client_id
    assert record["ObjectId"] == item.url


def test_the_feed_refuses_as_documented(tenant: Tenant, server: Server, app: Application, worker: Client) -> None:
    now = window(tenant, 1, 2)
    content = f"/subscriptions/content?{KIND}"
    assert ask(worker, f"{content}&{now}&{PUBLISHER}").code == "AF20022"
    ask(worker, f"/subscriptions/start?{KIND}&{PUBLISHER}", "POST")
    assert ask(worker, f"/subscriptions/start?{KIND}&{PUBLISHER}", "POST").code == "AF20024"
    assert ask(worker, f"{content}&{now}").code == "AF20001"
    assert ask(worker, f"{content}&{window(tenant, 30, 25)}&{PUBLISHER}").code == "AF20030"
    assert ask(worker, f"{content}&{window(tenant, 24 * 8, 2)}&{PUBLISHER}").code == "AF20030"
    assert ask(worker, f"/subscriptions/content?contentType=Audit.Other&{PUBLISHER}").code == "AF20020"
    assert ask(worker, f"/subscriptions/list?{PUBLISHER}").json[0]["status"] == "enabled"
    ask(worker, f"/subscriptions/stop?{KIND}&{PUBLISHER}", "POST")
    assert ask(worker, f"{content}&{now}&{PUBLISHER}").code == "AF20023"
    less = Client(server, server.token(app, None, "Files.Read.All", audience=AUDIT))
    assert ask(less, f"/subscriptions/list?{PUBLISHER}").code == "AF10001"
    graph = Client(server, server.token(app))
    assert ask(graph, f"/subscriptions/list?{PUBLISHER}").status == 401


def test_what_is_late_comes_late_and_blobs_expire(tenant: Tenant, app: Application, amy: User, worker: Client) -> None:
    ask(worker, f"/subscriptions/start?{KIND}&{PUBLISHER}", "POST")
    tenant.log_delay = timedelta(hours=12)
    tenant.upload(tenant.add_drive(amy), "results.csv", b"x", amy)
    assert everything(worker, window(tenant, 1, 2)) == []
    tenant.advance(hours=13)
    later = Client(worker.server, worker.server.token(app, None, "ActivityFeed.Read", audience=AUDIT))
    assert [record["Operation"] for record in everything(later, window(tenant, 2, 3))] == ["FileUploaded"]
    [blob] = ask(later, f"/subscriptions/content?{KIND}&{window(tenant, 2, 3)}&{PUBLISHER}").json
    tenant.advance(days=8)
    last = Client(worker.server, worker.server.token(app, None, "ActivityFeed.Read", audience=AUDIT))
    assert last.get(f"{blob['contentUri']}?{PUBLISHER}").code == "AF20051"


def test_a_search_of_the_log_takes_a_while(tenant: Tenant, server: Server, app: Application, amy: User) -> None:
    item = tenant.upload(tenant.add_drive(amy), "results.csv", b"x", amy)
    tenant.link(item, amy, scope="anonymous")
    client = Client(server, server.token(app))
    begin, end = stamp(tenant.now() - timedelta(hours=1)), stamp(tenant.now() + timedelta(hours=1))
    query = {
        "displayName": "ours",
        "filterStartDateTime": begin,
        "filterEndDateTime": end,
        "recordTypeFilters": ["sharePointSharingOperation"],
    }
    begun = client.post("/security/auditLog/queries", query)
    assert (begun.status, begun.json["status"]) == (201, "notStarted")
    target = f"/security/auditLog/queries/{begun.json['id']}"
    assert client.get(f"{target}/records").json["value"] == []
    assert [client.get(target).json["status"] for _ in range(2)] == ["running", "succeeded"]
    found = client.get(f"{target}/records").json["value"]
    assert [record["auditData"]["Operation"] for record in found] == ["AnonymousLinkCreated"]
    assert client.post("/security/auditLog/queries", {"displayName": "x"}).status == 400
