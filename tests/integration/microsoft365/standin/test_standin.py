"""The stand-in for Microsoft 365 does what the vendor documents: items, bytes, versions, children, delta."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest
from servers.microsoft365 import Tenant
from servers.microsoft365.people import Application, User
from servers.microsoft365.server import Server
from servers.microsoft365.world import stamp
from standin_client import Client, Got

SCOPES = "Files.Read.All Files.ReadWrite.All User.Read.All"


@pytest.fixture
def app(tenant: Tenant) -> Application:
    return tenant.add_application("Data Platform", application=SCOPES, delegated=f"{SCOPES} User.Read")


@pytest.fixture
def amy(tenant: Tenant) -> User:
    return tenant.add_user("Amy Adams", department="Chemistry")


@pytest.fixture
def bob(tenant: Tenant) -> User:
    return tenant.add_user("Bob Brown")


@pytest.fixture
def worker(server: Server, app: Application) -> Client:
    return Client(server, server.token(app))


def encoded(url: str) -> str:
    return "u!" + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def test_bytes_come_from_another_port_that_refuses_authorization(
    tenant: Tenant, server: Server, amy: User, worker: Client
) -> None:
    drive = tenant.add_drive(amy)
    item = tenant.upload(drive, "Lab/plate 1.csv", b"a,b\n1,2\n", amy)
    led = worker.get(f"/drives/{drive.id}/items/{item.id}/content")
    assert led.status == 302
    assert led.headers["location"].startswith(server.download_url)
    assert worker.get(led.headers["location"]).content == b"a,b\n1,2\n"
    assert worker.get(led.headers["location"], authorization=f"Bearer {worker.token}").status == 401
    part = worker.get(led.headers["location"], range="bytes=4-6")
    assert (part.status, part.content, part.headers["content-range"]) == (206, b"1,2", "bytes 4-6/8")
    assert worker.get(led.headers["location"], range="bytes=8-").status == 416
    tenant.advance(hours=2)
    assert worker.get(led.headers["location"]).status == 401


def test_an_item_is_found_by_id_path_and_from_its_site(tenant: Tenant, amy: User, worker: Client) -> None:
    site = tenant.add_site("Crystal Lab", amy)
    item = tenant.upload(site.drive, "Runs/2026/plate 1.csv", b"x" * 1000, amy)
    path = quote("Runs/2026/plate 1.csv")
    addresses = [
        f"/drives/{site.drive.id}/items/{item.id}",
        f"/drives/{site.drive.id}/root:/{path}",
        f"/sites/{site.host}:{site.path}:/drive/root:/{path}",
        f"/sites/{site.id}/drives/{site.drive.id}/root:/{path}:",
        f"/groups/{site.group.id if site.group else ''}/drive/root:/{path}",
    ]
    found = [worker.get(address).json for address in addresses]
    assert [one["id"] for one in found] == [item.id] * len(addresses)
    assert found[0]["parentReference"]["path"] == f"/drives/{site.drive.id}/root:/Runs/2026"
    assert found[0]["eTag"].startswith('"{')
    assert "sharepointIds" not in found[0]
    chosen = worker.get(f"{addresses[0]}?$select=id,sharepointIds").json
    assert chosen["sharepointIds"]["listItemUniqueId"] == item.guid
    assert worker.get(f"/drives/{site.drive.id}/root:/Runs/none.csv").code == "itemNotFound"


def test_only_who_was_given_access_reads(
    tenant: Tenant, server: Server, app: Application, amy: User, bob: User
) -> None:
    drive = tenant.add_drive(amy)
    item = tenant.upload(drive, "results.xlsx", b"bytes", amy)
    reader = Client(server, server.token(app, bob))
    assert reader.get(f"/drives/{drive.id}/items/{item.id}").code == "accessDenied"
    [permission] = tenant.share(item, amy, bob)
    assert reader.get(f"/drives/{drive.id}/items/{item.id}").json["name"] == "results.xlsx"
    tenant.revoke(item, permission, amy)
    assert reader.get(f"/drives/{drive.id}/items/{item.id}").status == 403


def test_a_link_opens_for_one_request_or_for_good(
    tenant: Tenant, server: Server, app: Application, amy: User, bob: User
) -> None:
    drive = tenant.add_drive(amy)
    item = tenant.upload(drive, "results.xlsx", b"bytes", amy)
    link = tenant.link(item, amy, scope="organization").link
    assert link is not None
    reader = Client(server, server.token(app, bob))
    share = f"/shares/{encoded(link.url.partition('?')[0])}/driveItem"
    assert reader.get(share).status == 403
    assert reader.get(share, prefer="redeemSharingLinkIfNecessary").json["id"] == item.id
    assert reader.get(f"/drives/{drive.id}/items/{item.id}").status == 403
    led = reader.get(f"{share}/content", prefer="redeemSharingLinkIfNecessary")
    assert reader.get(led.headers["location"]).content == b"bytes"
    assert reader.get(share, prefer="redeemSharingLink").status == 200
    assert reader.get(f"/drives/{drive.id}/items/{item.id}").status == 200


def test_shares_want_the_scopes_that_are_documented(
    tenant: Tenant, server: Server, app: Application, amy: User
) -> None:
    item = tenant.upload(tenant.add_drive(amy), "results.xlsx", b"bytes", amy)
    reader = Client(server, server.token(app, amy, "Files.Read.All"))
    assert reader.get(f"/shares/{encoded(item.url)}/driveItem").code == "accessDenied"
    writer = Client(server, server.token(app, amy, "Files.ReadWrite"))
    assert writer.get(f"/shares/{encoded(item.url)}/driveItem").json["id"] == item.id


def test_children_come_in_pages_whose_links_are_used_to_the_letter(
    tenant: Tenant, server: Server, amy: User, worker: Client
) -> None:
    drive = tenant.add_drive(amy)
    for number in range(7):
        tenant.upload(drive, f"Lab/{number}.csv", b"%d" % number, amy)
    tenant.pages.children, tenant.quirks.empty_pages = 3, True
    values, _, pages = worker.pages(f"/drives/{drive.id}/root:/Lab:/children?$select=name")
    assert ([value["name"] for value in values], pages) == ([f"{number}.csv" for number in range(7)], 4)
    link = worker.get(f"/drives/{drive.id}/root:/Lab:/children").json["@odata.nextLink"]
    assert worker.get(f"{link}&$select=name").status == 400


def test_versions_are_listed_newest_first_and_their_bytes_stay(tenant: Tenant, amy: User, worker: Client) -> None:
    drive = tenant.add_drive(amy)
    item = tenant.upload(drive, "results.csv", b"one", amy)
    tenant.edit(item, b"three", amy)
    versions = worker.get(f"/drives/{drive.id}/items/{item.id}/versions").json["value"]
    assert [(version["id"], version["size"]) for version in versions] == [("2.0", 5), ("1.0", 3)]
    led = worker.get(f"/drives/{drive.id}/items/{item.id}/versions/1.0/content")
    assert worker.get(led.headers["location"]).content == b"one"
    tags = worker.get(f"/drives/{drive.id}/items/{item.id}").json
    tenant.touch(item, amy)
    again = worker.get(f"/drives/{drive.id}/items/{item.id}").json
    assert (again["cTag"] == tags["cTag"], again["eTag"] == tags["eTag"]) == (True, False)


def test_a_delta_tells_each_change_once(tenant: Tenant, amy: User, worker: Client) -> None:
    drive = tenant.add_drive(amy)
    tenant.pages.drive_delta = 3
    items = [tenant.upload(drive, f"Lab/{number}.csv", b"x", amy) for number in range(5)]
    values, delta, pages = worker.pages(f"/drives/{drive.id}/root/delta")
    assert {value["id"] for value in values} == set(drive.items)
    assert pages == 3
    assert all({"createdBy", "cTag"}.isdisjoint(value) for value in values)
    assert all("path" not in value["parentReference"] for value in values)
    tenant.rename(items[0], "renamed.csv", amy)
    tenant.delete(items[1], amy)
    tenant.edit(items[2], b"new", amy)
    tenant.edit(items[2], b"newer", amy)
    values, delta, _ = worker.pages(delta)
    assert [(value["id"], value.get("name")) for value in values] == [
        (items[0].id, "renamed.csv"),
        (items[1].id, None),
        (items[2].id, "2.csv"),
    ]
    assert values[1]["deleted"] == {"state": "deleted"}
    assert worker.pages(delta)[0] == []
    tenant.forget_delta(drive)
    gone = worker.get(delta)
    assert (gone.status, gone.code) == (410, "resyncChangesApplyDifferences")
    assert len(worker.pages(gone.headers["location"])[0]) == len(drive.items)


def test_a_delta_can_begin_now_or_at_a_time(tenant: Tenant, amy: User, worker: Client) -> None:
    drive = tenant.add_drive(amy)
    tenant.upload(drive, "old.csv", b"x", amy)
    values, delta, _ = worker.pages(f"/drives/{drive.id}/root/delta?token=latest")
    assert values == []
    tenant.advance(hours=1)
    since = stamp(tenant.now())
    tenant.advance(minutes=1)
    new = tenant.upload(drive, "new.csv", b"x", amy)
    later = Client(worker.server, worker.server.token(worker.server.tokens.access[worker.token].application))
    assert [value["id"] for value in later.pages(delta)[0]] == [new.id]
    assert [value["id"] for value in later.pages(f"/drives/{drive.id}/root/delta?token={since}")[0]] == [new.id]
    assert later.get(f"/drives/{drive.id}/items/{new.id}/delta").code == "invalidRequest"
    assert later.get(f"/drives/{drive.id}/root/delta?token=made-up").status == 400


def test_what_vanishes_while_pages_are_read_is_told(tenant: Tenant, amy: User, worker: Client) -> None:
    drive = tenant.add_drive(amy)
    tenant.pages.drive_delta = 3
    items = [tenant.upload(drive, f"{number}.csv", b"x", amy) for number in range(5)]
    first = worker.get(f"/drives/{drive.id}/root/delta").json
    tenant.delete(items[0], amy)
    values, _, _ = worker.pages(first["@odata.nextLink"])
    assert [value["id"] for value in values if "deleted" in value] == [items[0].id]


def refused(got: Got) -> tuple[int, str]:
    return got.status, got.code


def test_tokens_are_judged(tenant: Tenant, server: Server, app: Application, worker: Client) -> None:
    assert refused(Client(server).get("/users")) == (401, "InvalidAuthenticationToken")
    assert refused(Client(server, "made-up").get("/users")) == (401, "InvalidAuthenticationToken")
    audit = Client(server, server.token(app, audience="https://manage.office.com"))
    assert refused(audit.get("/users")) == (401, "InvalidAuthenticationToken")
    less = Client(server, server.token(app, None, "Files.Read.All"))
    assert refused(less.get("/users")) == (403, "Authorization_RequestDenied")
    assert worker.get("/users").status == 200
    tenant.advance(hours=2)
    assert refused(worker.get("/users")) == (401, "InvalidAuthenticationToken")
