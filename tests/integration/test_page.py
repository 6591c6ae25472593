"""The page of a file: everything for who may know it, its title for who may find it, nothing for others."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from deliveries import hand_in, item, read, read_file, sha256
from small_company import MONDAY, NOW, REALM, asking, deliver, hire, path_id, person

from data_platform.cli import main
from data_platform.errors import BlobDamaged, VersionUnavailable
from data_platform.settings import load, settings
from populate.backup.erased import Erasure
from populate.backup.erasing import erase
from populate.backup.tables import Backup, Placement
from populate.ingest import Ingest
from populate.page.difference import comparison, difference
from populate.page.page import file_page
from populate.page.reply import OpaqueDifference, TableDifference
from populate.profile.tables import Profile
from populate.store import open_store
from populate.who.asker import choose
from schemas.binding import Binding
from schemas.catalogue import FileGone, Version
from schemas.following import PermissionDetail, PermissionExpiry, SourceVersion
from schemas.identity import version_id
from schemas.restrict import where
from schemas.sharing import Permission

PLATE = "/lab/plate.csv"
LATER = NOW + timedelta(days=1)


@pytest.fixture
def company(binding: Binding) -> Binding:
    """Amy's plate changes once: Bob and Colin read the first version, Dora the second, and Colin keeps a copy."""
    for login, department in (("amy", "Assays"), ("bob", "Biology"), ("colin", "Chemistry"), ("dora", "Biology")):
        hire(login, department)
    hire("eve", "Sales")
    deliver(binding, [("bob", PLATE, "amy", 0), ("bob", PLATE, "amy", 1)], batch="1", script="fit.py")
    deliver(binding, [("colin", PLATE, "amy", 2)], batch="2", script="fit.py")
    deliver(binding, [("dora", PLATE, "amy", 9), ("amy", PLATE, "amy", 10)], batch="3", script="plot.py", data="y")
    # The copy has the bytes of the first version.
    deliver(binding, [("colin", "/home/plate copy.csv", "colin", 3)], batch="4", data="")
    first = first_version(binding)
    binding.connection.query(
        f"UPDATE {Version().full_table_name} SET sha256 = %s WHERE file_id = %s",
        (first, path_id("/home/plate copy.csv")),
    )
    # Bob knows the copy, by other bytes that it held before.
    deliver(binding, [("bob", "/home/plate copy.csv", "colin", 1)], batch="5", data="before")
    return binding


def first_version(binding: Binding) -> str:
    rows = where(Version, file_id=path_id(PLATE)).to_dicts()
    page = file_page(asking(binding, "bob"), path_id(PLATE))
    assert page is not None
    assert len(rows) == 2
    return page.versions[0].sha256


def grant(login: str, path: str, **details: object) -> None:
    key = {"file_id": path_id(path), "grantee_id": person(login), "granted_since": MONDAY}
    Permission.insert1(key | {"grantee": login, "grantee_kind": "account", "permission_level": "read"})
    if details:
        empty = {"source_permission": "p", "link_type": "", "is_inherited": False, "is_invitation": False}
        PermissionDetail.insert1(key | empty | {"link_scope": details["link_scope"]})
        PermissionExpiry.insert1(key | {"expiry_told_at": MONDAY, "expires_at": details["expires_at"]})


def test_each_is_told_what_they_may_know(company: Binding) -> None:
    _less_is_told_to_who_may_know_less(company)
    _all_is_told_to_the_owner(company)


def _all_is_told_to_the_owner(company: Binding) -> None:
    grant("eve", PLATE, link_scope="users", expires_at=NOW + timedelta(days=9))
    grant("colin", PLATE, link_scope="users", expires_at=NOW - timedelta(days=9))
    grant("amy", "/home/plate copy.csv")
    old = {"file_id": path_id(PLATE), "version_label": "1.0", "source_version_size": 5}
    SourceVersion.insert1(old | {"version_modified_at": MONDAY, "version_author": "amy"})
    page = file_page(asking(company, "amy"), path_id(PLATE))
    assert page is not None
    assert (page.name, page.kind, page.limited, page.owned, page.gone_on) == ("plate.csv", "csv", False, True, None)
    assert page.owner is not None
    assert page.owner.name == "Amy"
    new, first = page.versions
    assert (new.newest, new.readers, new.reads, new.size) == (True, ("Dora", "you"), 2, 100)
    assert (first.newest, first.readers, first.reads) == (False, ("Bob", "Colin"), 3)
    assert (first.first_read, first.last_read) == (MONDAY, MONDAY + timedelta(days=2))
    assert [(copy.name, copy.owner, copy.sha256) for copy in page.copies] == [("plate copy.csv", "Colin", first.sha256)]
    assert [(row.grantee, row.scope, row.until) for row in page.grants] == [("eve", "users", NOW + timedelta(days=9))]
    assert page.receipts is not None
    assert page.receipts.sentence() == "3 readers, 2 departments, 2 analyses"
    assert [(row.name, row.reads) for row in page.receipts.people] == [("Dora", 1), ("Colin", 1), ("Bob", 2)]
    assert {one.name for one in page.whom_to_ask} == {"Bob", "Colin", "Dora"}

    # Colin read the folder as a whole, with another file in it that Amy owns, too; for her it is there by a grant.
    whole = (path_id("/lab"), version_id("r1", sha256(b"manifest")))
    inside = [read(item(f"/lab/{name}.csv", "amy"), "colin", b"z", part_of=(*whole, f"{name}.csv")) for name in "ab"]
    hand_in(company, [read(item("/lab", "colin"), "colin", b"manifest"), *inside], "whole")
    Ingest.populate()
    grant("amy", "/lab")
    colins = file_page(asking(company, "colin"), whole[0])
    assert colins is not None
    assert (colins.kind, [(row.name, row.member_path) for row in colins.members]) == (
        "folder",
        [("a.csv", "a.csv"), ("b.csv", "b.csv")],
    )
    part = file_page(asking(company, "amy"), path_id("/lab/a.csv"))
    assert part is not None
    assert [(row.path, row.member_path) for row in part.file_sets] == [("/lab", "a.csv")]
    assert [copy.name for copy in part.copies] == ["b.csv"]

    FileGone.insert1({"file_id": path_id(PLATE), "gone_on": date(2026, 5, 30)})
    gone = file_page(asking(company, "amy"), path_id(PLATE))
    assert gone is not None
    assert gone.gone_on == date(2026, 5, 30)


def _less_is_told_to_who_may_know_less(company: Binding) -> None:
    bobs = file_page(asking(company, "bob"), path_id(PLATE))
    assert bobs is not None
    # He read it and cannot open it any more, as far as is known: what came later is not told, nor what others hold.
    assert [version.readers for version in bobs.versions] == [("Colin", "you")]
    assert bobs.versions[0].newest
    assert (bobs.copies, bobs.receipts, bobs.grants, bobs.owned) == ((), None, (), False)
    opened = file_page(asking(company, "bob"), path_id(PLATE), shown=True)
    assert opened is not None
    assert len(opened.versions) == 2

    # For Eve it does not exist, until its owner lets it be found: then by its title, and whom to ask.
    eve = asking(company, "eve")
    assert file_page(eve, path_id(PLATE)) is file_page(eve, "f" * 32) is None
    choose(asking(company, "amy", LATER), "open")
    found = file_page(asking(company, "eve", LATER), path_id(PLATE))
    assert found is not None
    assert (found.limited, found.name, found.kind) == (True, "plate.csv", "csv")
    assert [one.name for one in found.whom_to_ask] == ["Amy"]
    assert (found.path, found.source_system, found.versions, found.copies, found.owner) == ("", "", (), (), None)

    # A reader who chose not to be named is not, and still counts for the owner.
    choose(asking(company, "dora", LATER), "closed")
    amys = file_page(asking(company, "amy", LATER), path_id(PLATE))
    assert amys is not None
    assert amys.versions[0].readers == ("you",)
    assert amys.receipts is not None
    assert (amys.receipts.readers, [row.name for row in amys.receipts.people]) == (3, ["Colin", "Bob"])
    assert REALM not in repr(amys.versions)


@pytest.mark.parametrize("backend", ["postgresql"])  # what differs between servers is above
def test_versions_are_compared_by_their_bytes_in_the_store(
    binding: Binding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "plate.csv"
    texts = ("well,n\nA1,1\nA2,2\n", "well,n\nA1,1\nA2,3\nA3,9\n")
    for day, (reader, text) in enumerate(zip(("amy", "bob"), texts, strict=True)):
        path.write_text(text)
        hand_in(
            binding,
            [read_file(path, reader, day=day), read_file(path, "robot", day=day, on_behalf_of="dora")],
            f"{day}",
        )
        for computed in (Ingest(), Backup(), Profile()):
            computed.populate()
    dora, bob = asking(binding, "dora"), asking(binding, "bob")
    (file_id,) = set(Version.to_arrays("file_id").tolist())
    page = file_page(dora, file_id)
    assert page is not None
    new, old = page.versions
    found = difference(dora, file_id, old.version_id, new.version_id)
    assert isinstance(found, TableDifference)
    (sheet,) = found.sheets
    assert (sheet.key, sheet.rows_added, sheet.rows_removed, sheet.rows_changed) == (("well",), 1, 0, 1)
    assert sheet.changed[0].cells == (("n", "2", "3"),)
    same = difference(dora, file_id, new.version_id, new.version_id)
    assert isinstance(same, OpaqueDifference)
    assert same.same
    prepared = comparison(dora, file_id, old.version_id, new.version_id)
    with monkeypatch.context() as others:  # who asks tables meanwhile is not kept waiting
        others.setattr(type(binding.connection), "query", None)
        assert prepared() == found

    # Bob read the second version only: that there is a first one, and what was in it, is not told.
    refusals = set()
    for version in (old.version_id, "f" * 32):
        with pytest.raises(VersionUnavailable) as refused:
            difference(bob, file_id, version, new.version_id)
        refusals.add(str(refused.value))
    assert len(refusals) == 1
    assert isinstance(difference(bob, file_id, old.version_id, new.version_id, shown=True), TableDifference)

    # The commands: by path, as the source lets Bob open the file; by name, and by what versions are called.
    def run(*arguments: str, fails: bool = False) -> str:
        done = CliRunner().invoke(main, [*arguments])
        assert done.exit_code == int(fails), done.output
        return done.output

    monkeypatch.setenv("DATA_PLATFORM_ACCOUNT", "bob")
    monkeypatch.setenv("DATA_PLATFORM_REALM", REALM)
    settings.cache_clear()
    shown = run("show", str(path))
    assert "plate.csv" in shown
    assert "table: 3 rows, 2 columns" in shown
    assert old.sha256[:12] in shown
    assert old.sha256[:12] not in run("show", "plate.csv")
    assert {one["sha256"] for one in json.loads(run("show", str(path), "--json"))["versions"]} == {
        old.sha256,
        new.sha256,
    }
    told = run("diff", str(path))
    assert "rows: 1 added, 0 removed, 1 changed, found again by well" in told
    assert "~ A2: n 2 → 3" in told
    assert (
        json.loads(run("diff", str(path), new.sha256[:8], old.sha256[:8], "--json"))["sheets"][0]["rows_removed"] == 1
    )
    assert "Only one version" in run("diff", "plate.csv", fails=True)
    assert "has no version ffffffff" in run("diff", str(path), "ffffffff", fails=True)
    assert run("show", "nothing.csv", fails=True).replace("nothing", "plate.") == run("show", "plate..csv", fails=True)

    (row,) = where(Placement, sha256=old.sha256).to_dicts()
    kept = Path(load().store_url) / row["object_name"]
    kept.chmod(0o600)
    kept.write_bytes(kept.read_bytes().replace(b"A2", b"B2"))
    with pytest.raises(BlobDamaged):
        difference(dora, file_id, old.version_id, new.version_id)
    ordered = {"sha256": new.sha256, "erased_at": NOW, "erased_by": "amy", "erase_reason": "consent withdrawn"}
    Erasure.insert1(ordered)  # and no store has obeyed yet
    with pytest.raises(VersionUnavailable, match="not any more"):
        difference(dora, file_id, old.version_id, new.version_id)
    erase(binding, open_store(load()), load(), new.sha256, "consent withdrawn")
    with pytest.raises(VersionUnavailable, match="not any more"):
        difference(dora, file_id, old.version_id, new.version_id)
    after = file_page(dora, file_id)
    assert after is not None
    assert (after.versions[0].erased, after.versions[0].backed_up) == (True, False)
