"""Items of the stand-in that are no plain files, and who may see whose permissions."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import pytest
from servers.microsoft365 import Tenant
from servers.microsoft365.people import Application, User
from servers.microsoft365.server import Server
from standin_client import Client

SCOPES = "Files.Read.All Files.ReadWrite.All"


@pytest.fixture
def app(tenant: Tenant) -> Application:
    return tenant.add_application("Data Platform", application=SCOPES, delegated=SCOPES)


@pytest.fixture
def amy(tenant: Tenant) -> User:
    return tenant.add_user("Amy Adams")


@pytest.fixture
def bob(tenant: Tenant) -> User:
    return tenant.add_user("Bob Brown")


@pytest.fixture
def worker(server: Server, app: Application) -> Client:
    return Client(server, server.token(app))


def encoded(url: str) -> str:
    return "u!" + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def test_a_shortcut_leads_to_an_item_of_another_drive(tenant: Tenant, amy: User, bob: User, worker: Client) -> None:
    theirs, mine = tenant.add_drive(amy), tenant.add_drive(bob)
    folder = tenant.make_folder(theirs, "Lab", amy)
    shortcut = tenant.add_shortcut(mine, "Lab", folder, bob)
    target = f"/drives/{mine.id}/items/{shortcut.id}"
    remote = worker.get(target).json["remoteItem"]
    assert (remote["id"], remote["parentReference"]["driveId"]) == (folder.id, theirs.id)
    assert worker.get(f"{target}/children").code == "invalidRequest"
    assert worker.get(f"/drives/{theirs.id}/items/{remote['id']}/children").json["value"] == []


def test_some_items_have_no_bytes(tenant: Tenant, amy: User, worker: Client) -> None:
    drive = tenant.add_drive(amy)
    notebook = tenant.add_package(drive, "Notes", by=amy)
    infected = tenant.upload(drive, "bad.exe", b"x", amy, malware={"description": "EICAR"})
    empty = tenant.upload(drive, "empty.csv", b"", amy)
    found = worker.get(f"/drives/{drive.id}/items/{notebook.id}").json
    assert found["package"] == {"type": "oneNote"}
    assert {"file", "folder"}.isdisjoint(found)
    assert worker.get(f"/drives/{drive.id}/items/{notebook.id}/content").code == "invalidRequest"
    assert worker.get(f"/drives/{drive.id}/items/{drive.root.id}/content").code == "invalidRequest"
    assert worker.get(f"/drives/{drive.id}/items/{infected.id}/content").code == "malwareDetected"
    nothing = worker.get(f"/drives/{drive.id}/items/{empty.id}").json
    assert (nothing["size"], "hashes" in nothing["file"]) == (0, False)
    assert worker.get(nothing["@microsoft.graph.downloadUrl"]).content == b""


def test_metadata_may_tell_other_than_the_bytes(tenant: Tenant, amy: User, worker: Client) -> None:
    item = tenant.upload(tenant.add_drive(amy), "a.docx", b"rewritten", amy)
    target = f"/drives/{item.drive.id}/items/{item.id}"
    tenant.quirks.late_hashes = True
    assert "hashes" not in worker.get(target).json["file"]
    tenant.misstate(item, 5, "AAAAAAAAAAAAAAAAAAAAAAAAAAA=")
    found = worker.get(f"{target}?$select=size,file,@microsoft.graph.downloadUrl").json
    tenant.quirks.whole_downloads = True
    whole = worker.get(found["@microsoft.graph.downloadUrl"], range="bytes=2-")
    assert (found["size"], whole.status, whole.content) == (5, 200, b"rewritten")
    worker.get(found["@microsoft.graph.downloadUrl"])
    assert worker.get(target).json["file"]["hashes"]["quickXorHash"] == "AAAAAAAAAAAAAAAAAAAAAAAAAAA="
    tag = worker.get(target).json["cTag"]
    assert worker.get(f"{target}/content", if_none_match=tag).status == 304


def test_an_owner_sees_all_permissions_and_others_their_own(
    tenant: Tenant, server: Server, app: Application, amy: User, bob: User
) -> None:
    drive = tenant.add_drive(amy)
    item = tenant.upload(drive, "Lab/a.csv", b"x", amy)
    team = tenant.add_group("Team", bob)
    tenant.share(item, amy, bob)
    tenant.share(item.parent or item, amy, team, "eve@fabrikam.com", role="write")
    link = tenant.link(item, amy, bob, "eve@fabrikam.com", scope="users", expires=tenant.now() + timedelta(days=1))
    target = f"/drives/{drive.id}/items/{item.id}/permissions"
    owner = Client(server, server.token(app, amy)).get(target).json["value"]
    assert len(owner) == 5
    by_id = {one["id"]: one for one in owner}
    assert by_id[link.id]["link"]["webUrl"] == (link.link.url if link.link else "")
    assert by_id[link.id]["grantedToIdentitiesV2"][1]["user"] == {"email": "eve@fabrikam.com"}
    [invited] = [one for one in owner if "invitation" in one]
    assert (invited["invitation"]["email"], "grantedToV2" in invited) == ("eve@fabrikam.com", False)
    reader = Client(server, server.token(app, bob, "Files.Read.All"))
    seen = reader.get(target).json["value"]
    assert {one["id"] for one in seen} < by_id.keys()
    assert all("webUrl" not in one.get("link", {}) for one in seen)
    assert not any("inheritedFrom" in one for one in owner)
    tenant.advance(days=2)
    later = Client(server, server.token(app, amy)).get(target).json["value"]
    assert len(later) == 4


def test_access_is_given_and_taken_through_graph(
    tenant: Tenant, server: Server, app: Application, amy: User, bob: User
) -> None:
    item = tenant.upload(tenant.add_drive(amy), "a.csv", b"x", amy)
    target = f"/drives/{item.drive.id}/items/{item.id}"
    mine, theirs = Client(server, server.token(app, amy)), Client(server, server.token(app, bob))
    given = mine.post(f"{target}/invite", {"recipients": [{"email": bob.mail}], "roles": ["read"]})
    assert "deprecation" in given.headers
    assert theirs.get(target).status == 200
    assert theirs.post(f"{target}/createLink", {"type": "view"}).status == 403
    made = mine.post(f"{target}/createLink", {"type": "view", "scope": "organization"})
    assert (made.status, made.json["link"]["scope"]) == (201, "organization")
    assert mine.send("DELETE", f"{target}/permissions/{given.json['value'][0]['id']}").status == 204
    assert theirs.get(target).status == 403


def test_selected_scopes_reach_what_was_granted(tenant: Tenant, server: Server, amy: User) -> None:
    chosen = tenant.add_application("Chosen", application="Sites.Selected")
    admin = tenant.add_application("Admin", application="Sites.FullControl.All")
    sites = [tenant.add_site(f"Lab {n}", amy) for n in range(2)]
    body = {"roles": ["read"], "grantedTo": {"application": {"id": chosen.client_id}}}
    client = Client(server, server.token(chosen))
    assert client.get(f"/drives/{sites[0].drive.id}/root").status == 403
    assert client.post(f"/sites/{sites[0].id}/permissions", body).status == 403
    assert Client(server, server.token(admin)).post(f"/sites/{sites[0].id}/permissions", body).status == 201
    assert client.get(f"/sites/{sites[0].id}").json["webUrl"] == sites[0].url
    answers = [client.get(f"/drives/{site.drive.id}/root/delta").status for site in sites]
    assert answers == [200, 403]


def test_retention_labels_want_full_control(tenant: Tenant, server: Server, amy: User, worker: Client) -> None:
    drive = tenant.add_drive(amy)
    drive.retention_labels = True
    assert worker.get(f"/drives/{drive.id}/root/delta").code == "accessDenied"
    admin = tenant.add_application("Admin", application="Sites.FullControl.All")
    assert Client(server, server.token(admin)).get(f"/drives/{drive.id}/root/delta").status == 200


def test_sharing_changes_are_told_to_those_who_ask_in_full(tenant: Tenant, amy: User, worker: Client) -> None:
    drive = tenant.add_drive(amy)
    item = tenant.upload(drive, "a.csv", b"x", amy)
    delta = worker.pages(f"/drives/{drive.id}/root/delta")[1]
    tenant.link(item, amy)
    three = "deltashowremovedasdeleted, deltatraversepermissiongaps, deltashowsharingchanges"
    assert worker.get(delta, prefer="deltashowsharingchanges").status == 400
    [told] = worker.get(delta, prefer=three).json["value"]
    assert told["@microsoft.graph.sharedChanged"] == "True"
    tenant.edit(item, b"y", amy)
    later = worker.get(worker.pages(delta, prefer=three)[1], prefer=three).json["value"]
    assert later == []


def test_a_personal_drive_is_not_of_the_company(
    tenant: Tenant, server: Server, app: Application, amy: User, worker: Client
) -> None:
    drive = tenant.add_personal_drive("Eve Elsewhere")
    item = tenant.upload(drive, "Pictures/gel.png", b"x")
    link = tenant.link(item, None, scope="anonymous").link
    assert link is not None
    assert link.url.startswith("https://1drv.ms/")
    reader = Client(server, server.token(app, amy))
    found = reader.get(f"/shares/{encoded(link.url)}/driveItem", prefer="redeemSharingLinkIfNecessary").json
    assert (found["id"], found["parentReference"]["driveType"]) == (item.id, "personal")
    assert "siteId" not in found["parentReference"]
    assert worker.get(f"/shares/{encoded(item.url)}/driveItem").json["id"] == item.id
    odd = "https://onedrive.live.com/personal/doc.aspx?resid=6f1d2c3b-4a59-4e7f-9c8d-0b1a2c3d4e5f"
    assert worker.get(f"/shares/{encoded(odd)}/driveItem").json["error"]["message"] == "Invalid shares key."
    assert tenant.journal == []
    inherited = worker.get(f"/drives/{drive.id}/items/{item.id}/permissions").json["value"]
    assert [json.dumps(one).count("inheritedFrom") for one in inherited] == [0, 1]


def test_addresses_of_pages_lead_to_items(tenant: Tenant, amy: User, worker: Client) -> None:
    site = tenant.add_site("Crystal Lab", amy)
    item = tenant.upload(site.drive, "Runs/plate 1.xlsx", b"x", amy)
    path = f"{site.path}/Shared%20Documents/Runs/plate%201.xlsx"
    addresses = [
        item.url,
        f"https://{site.host}/:x:/r{path}?d=w123&csf=1&web=1&e=AbC",
        f"{site.url}/_layouts/15/Doc.aspx?sourcedoc=%7B{item.guid.upper()}%7D&action=default",
    ]
    found = [worker.get(f"/shares/{encoded(address)}/driveItem").json["id"] for address in addresses]
    assert found == [item.id] * 3
    nothing = worker.get(f"/shares/{encoded(f'{site.url}/Shared%20Documents/none.xlsx')}/driveItem")
    assert (nothing.status, nothing.code) == (403, "accessDenied")
    assert worker.get("/shares/u!.../driveItem").status == 400


def test_who_has_no_drive_is_told_so(tenant: Tenant, server: Server, app: Application, bob: User) -> None:
    worker = Client(server, server.token(app))
    assert worker.get(f"/users/{bob.id}/drive").code == "ResourceNotFound"
    assert worker.get("/me/drive").code == "BadRequest"
    tenant.add_drive(bob)
    assert worker.get(f"/users/{bob.upn}/drive?$select=id,driveType").json["driveType"] == "business"
