"""Bob has read Amy's results; Colin finds that out, asks Amy, she shares, he reads: each step has its date."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import deliveries
import pytest
from servers.microsoft365.library import Item
from servers.microsoft365.people import User
from sharing_world import Company, company

from dashboard.queries import files as queries
from data_platform.errors import AccessDenied, SourceError
from data_platform.settings import Settings, load
from populate.ingest import Ingest
from populate.who.asker import asker, choose
from populate.who.asks import record_ask, record_outcome
from populate.who.link import item_of
from populate.who.whom import about_item, about_text
from readers.event import access_record, consumer
from readers.microsoft365.sign_in import sign_in
from readers.microsoft365.source import Microsoft365Source
from schemas.binding import Binding
from schemas.identity import file_id
from schemas.restrict import where
from schemas.sharing import Access, Permission, PermissionEnded, ShareEdge, ShareEvent

RESULTS = b"plate,value\nA1,0.25\n"


@pytest.fixture
def firm(binding: Binding, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    with company(monkeypatch) as found:
        found.server.desk.interval = 0
        yield found


class Desk:
    """Somebody's machine: settings of their own, and what they read from there."""

    def __init__(self, firm: Company, user: User, home: Path) -> None:
        given = firm.server.settings(firm.app)
        given["microsoft365"] |= {"client_secret": "", "keyring": False}
        self.settings: Settings = load(home=home / user.id, **given)
        self._firm = firm
        firm.server.sign_in(user)
        sign_in(self.settings, lambda sentence: None)
        firm.server.sign_in(None)

    def read(self, binding: Binding, link: str) -> bytes:
        """Read a link as the face does, and deliver what is noted down of it, be it an error."""
        source = Microsoft365Source(self.settings)
        who = consumer(self.settings, source.account())
        about = {"url": link, "function": "read_onedrive", "source_kind": source.kind}
        received: list[bytes] = []
        try:
            item = source.resolve(link)
            revision = source.download(item, source.revision(item), received.append)
        except SourceError as error:
            deliver(binding, access_record(who, error=error, **about))
            raise
        data = b"".join(received)
        facts = {"revision": revision.token, "sha256": deliveries.sha256(data), "size": len(data)}
        deliver(binding, access_record(who, item=item, **about, **facts))
        return data


def deliver(binding: Binding, record: dict[str, object]) -> None:
    deliveries.hand_in(binding, [record], run=str(record["event_id"]))
    Ingest.populate()


def now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def test_each_step_of_the_story_has_its_date(binding: Binding, firm: Company, tmp_path: Path) -> None:
    world = firm.world
    amy, bob, colin = (world.add_user(name) for name in ("Amy Ade", "Bob Bell", "Colin Cole"))
    firm.name(amy, bob, colin)
    results: Item = world.upload(world.add_drive(amy), "Assays/results.xlsx", RESULTS, amy)
    key = file_id(f"microsoft365/{results.drive.site.host}", f"{results.drive.id}/{results.id}")
    desks = {user.id: Desk(firm, user, tmp_path) for user in (bob, colin)}

    # Amy shares her results with Bob, who reads them: from then on the file is followed.
    world.share(results, amy, bob)
    assert desks[bob.id].read(binding, results.url) == RESULTS
    firm.sync(binding)
    moments = [now()]

    # Colin cannot read them. He asks who knows about results, and is led to Amy, who lets herself be found.
    with pytest.raises(AccessDenied):
        desks[colin.id].read(binding, results.url)
    he, she = (asker(binding, load(realm=firm.realm, account=user.id)) for user in (colin, amy))
    assert about_text(he, "results", 5) == []
    choose(she, "open")
    he = asker(binding, load(realm=firm.realm, account=colin.id))
    (suggestion, *_) = about_text(he, "results", 5)
    assert suggestion.person_id == firm.person(amy)
    record_ask(he, he.colleagues([suggestion.person_id])[suggestion.person_id])

    # She shares, he reads, and says so.
    world.share(results, amy, colin)
    assert desks[colin.id].read(binding, results.url) == RESULTS
    firm.sync(binding)
    he = asker(binding, load(realm=firm.realm, account=colin.id))
    record_outcome(he, he.colleagues([firm.person(amy)])[firm.person(amy)], "answered")
    moments.append(now())

    # Later she takes it back.
    world.revoke(results, results.permissions[-1], amy)
    firm.sync(binding)
    moments.append(now())

    since = {row["grantee_id"]: row["granted_since"] for row in where(Permission, file_id=key).to_dicts()}
    assert since.keys() == {firm.person(amy), firm.person(bob), firm.person(colin)}
    assert since[firm.person(bob)] < moments[0] < since[firm.person(colin)] < moments[1]
    (ended,) = where(PermissionEnded, file_id=key).to_dicts()
    assert ended["grantee_id"] == firm.person(colin)
    assert moments[1] < ended["ended_at"] < moments[2]

    events = where(ShareEvent, file_id=key).to_dicts(order_by="shared_at")
    told = {(row["share_action"], row["share_target"].lower(), row["actor_id"]) for row in events}
    assert ("SharingSet", colin.upn.lower(), firm.person(amy)) in told
    assert ("SharingRevoked", colin.upn.lower(), firm.person(amy)) in told

    edges = {(row["consumer_id"], row["channel"]) for row in where(ShareEdge, file_id=key).to_dicts()}
    assert {(firm.person(who), how) for who in (bob, colin) for how in ("read", "grant")} <= edges
    assert (firm.person(colin), "event") in edges
    reads = where(Access, file_id=key, outcome="ok").to_dicts(order_by="accessed_at")
    assert [row["account_id"] for row in reads] == [firm.person(bob), firm.person(colin)]
    assert where(Access, outcome="AccessDenied").fetch1("account_id") == firm.person(colin)

    # And whoever looks finds it: in the catalogue's search, and by the link.
    assert "results.xlsx" in set(queries.files(binding, search="results")["file_name"])
    found = item_of(he, results.url, desks[colin.id].settings)
    assert found is not None
    assert firm.person(bob) in {one.person_id for one in about_item(he, found, 5)}
