"""What the pages of managers, stewards and engineers ask."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from small_company import MONDAY, deliver, dismiss, hire, path_id

from dashboard.queries import govern, manage, operate, retention
from data_platform.settings import settings
from populate.adoption.tables import Adoption
from populate.backup.erased import Erasure
from populate.backup.stores import record_store
from populate.retention.keeping import add_rule, end_rule, hold, release
from populate.retention.tables import Quarantine, QuarantineEnd
from populate.silo import SiloMetric
from populate.snapshot import take_snapshot
from schemas.binding import Binding
from schemas.catalogue import Blob, Version
from schemas.following import PermissionDetail, PermissionExpiry
from schemas.identity import identity
from schemas.sharing import Access, Permission, PermissionEnded

LAST = (MONDAY + timedelta(days=30)).date()


@pytest.fixture
def company(binding: Binding) -> Binding:
    """Two departments of six; Amy's plates are read by all, and Zoe's by nobody but her."""
    for number, login in enumerate(
        ("amy", "bob", "cem", "dia", "eve", "fay", "gus", "hal", "ida", "jan", "kim", "zoe")
    ):
        hire(login, "Biology" if number < 6 else "Chemistry")
    readers = ("bob", "cem", "dia", "eve", "gus", "hal", "ida")
    for number, login in enumerate(readers):
        reads = [(login, "/s/plates.csv", "amy", number), (login, "/s/plates.csv", "amy", number + 8)]
        deliver(binding, reads, batch=login, script="fit.py", alike=True)
    deliver(binding, [("zoe", "/s/copy of plates.csv", "zoe", 5)], batch="zoe", alike=True)
    return binding


def grant(path: str, grantee: str, kind: str, scope: str) -> dict[str, Any]:
    key = {"file_id": path_id(path), "grantee_id": identity("grantee", grantee), "granted_since": MONDAY}
    Permission.insert1({**key, "grantee": grantee, "grantee_kind": kind, "permission_level": "read"})
    detail = {"source_permission": "1", "link_scope": scope, "link_type": "view"}
    PermissionDetail.insert1({**key, **detail, "is_inherited": False, "is_invitation": False})
    return key


def reach(binding: Binding) -> dict[str, int]:
    return {str(row["reach"]): int(row["files"]) for row in govern.reach(binding).to_dict("records")}


def test_who_may_open_what_and_what_people_who_left_own(company: Binding) -> None:
    grant("/s/plates.csv", "anybody", "link", "anonymous")
    grant("/s/copy of plates.csv", "all of us", "link", "organization")
    outside = grant("/s/plates.csv", "eve@elsewhere.example", "account", "users")
    grant("/s/plates.csv", "the lab", "group", "")  # who is named is nobody else's business
    assert reach(company) == {
        "anybody with the link": 1,
        "everybody in the organisation": 1,
        "somebody outside": 1,
    }
    (listed,) = govern.grants(company, "anybody with the link").to_dict("records")
    assert (listed["file_name"], listed["owner"], listed["grantee"]) == ("plates.csv", "Amy", "anybody")
    PermissionEnded.insert1({**outside, "ended_at": MONDAY})
    expired = grant("/s/copy of plates.csv", "anybody else", "link", "anonymous")
    past = MONDAY + timedelta(days=1)
    PermissionExpiry.insert1({**expired, "expiry_told_at": MONDAY, "expires_at": past})
    assert reach(company) == {"anybody with the link": 1, "everybody in the organisation": 1}
    PermissionExpiry.insert1({**expired, "expiry_told_at": past, "expires_at": datetime(9999, 1, 1)})
    assert reach(company)["anybody with the link"] == 2
    assert govern.owners_who_left(company).empty
    dismiss("amy", MONDAY.date())
    assert list(govern.owners_who_left(company)["owner"]) == ["Amy"]
    assert list(govern.files_of_who_left(company)["file_name"]) == ["plates.csv"]


def test_the_audit_trail_is_found_by_person_file_day_and_outcome(company: Binding) -> None:
    failed = {**Access().to_dicts(limit=1)[0], "event_id": "f" * 32, "outcome": "SourceForbidden", "message": "no"}
    Access.insert1(failed)
    days = govern.Search(MONDAY.date(), LAST)
    assert govern.count_audit(company, days) == 16
    assert govern.outcomes(company, days) == ["SourceForbidden"]

    def found(**narrowed: str) -> list[tuple[str, str]]:
        search = govern.Search(MONDAY.date(), LAST, **narrowed)
        rows = govern.audit(company, search)
        assert len(rows) == govern.count_audit(company, search)
        return list(zip(rows["reader"], rows["file_name"], strict=True))

    assert found(who="ZO") == [("Zoe", "copy of plates.csv")]
    assert found(file="copy OF") == [("Zoe", "copy of plates.csv")]
    assert found(file="%") == found(who="nobody") == found(who="zoe", file_id=path_id("/s/plates.csv")) == []
    assert len(found(outcome="failed")) == len(found(outcome="SourceForbidden")) == 1
    assert len(found(who="bob", outcome="ok", file_id=path_id("/s/plates.csv"))) == 2
    assert govern.count_audit(company, govern.Search(date(2020, 1, 1), date(2020, 1, 2))) == 0
    page = govern.audit(company, days, limit=2, offset=1)
    assert list(page["accessed_at"]) == sorted(page["accessed_at"], reverse=True)
    assert set(page["entry_point"]) == {"fit.py"}


def test_figures_of_use_copies_backups_and_health(company: Binding) -> None:
    assert manage.newest(company) == 0
    assert manage.adoption(company) is None
    assert manage.silo_days(company, "standard") == {}
    number = take_snapshot(company, LAST)
    for table in (SiloMetric, Adoption):
        table.populate()
    assert manage.newest(company) == number
    use = manage.adoption(company)
    assert use is not None
    assert use.sentences[0].startswith("8 people read shared data")
    assert list(manage.adoption_trend(company)["reader_count"]) == [8]
    assert manage.silo_parameters(company)[0] == "standard"
    assert manage.silo_days(company, "standard") == {LAST: number}
    found = manage.silos(company, number, "standard")
    assert "of working ties cross departments" in found.shown.sentence
    assert len(found.trend) == 1
    assert manage.report(company, "html").startswith(b"<!")
    copies = manage.duplicates(company)
    assert (copies.found.contents, copies.found.copies) == (1, 2)
    assert list(copies.copies["original"]) == ["original", "copy"]
    assert manage.ledger_rows(copies.ledger).empty
    sha256 = str(Version.to_arrays("sha256")[0])
    Erasure.insert1(
        {"sha256": sha256, "erased_at": datetime.now(UTC).replace(tzinfo=None), "erased_by": "x", "erase_reason": "y"}
    )
    (erased,) = govern.erasures(company).to_dict("records")
    assert (erased["files"], erased["kept"], erased["erase_reason"]) == (2, 0, "y")
    kept = govern.backups(company)
    assert kept.numbers["contents"] == 0
    assert kept.failed.empty
    health = operate.health(company, settings())
    assert health.numbers["workers"] == 0
    assert {"Ingest", "Backup"} <= set(health.queues["queue"])
    assert operate.sources(company).empty  # nothing was read lately
    assert len(operate.growth(company)) == 1
    assert len(Blob()) == 1


def test_rules_holds_and_what_waits_to_go(company: Binding) -> None:
    nothing = retention.keeping(company, settings())
    assert (len(nothing.rules), len(nothing.holds), nothing.waiting_contents, nothing.first_goes_at) == (0, 0, 0, None)
    add_rule(company, settings(), "versions", 2, department="Biology")
    add_rule(company, settings(), "days", 30)
    end_rule(company, settings(), 1)
    hold(company, settings(), "case 17", owner="amy")
    hold(company, settings(), "case 18", below="/s")
    release(company, settings(), 2)
    store, (content, *_) = record_store("folder:/srv/store"), Blob.to_dicts()
    marks = [
        {"sha256": content["sha256"], "store_id": store, "quarantined_at": MONDAY + timedelta(days=n)} for n in (0, 9)
    ]
    Quarantine.insert(marks)
    QuarantineEnd.insert1({**marks[0], "quarantine_ended_at": MONDAY + timedelta(days=2), "quarantine_outcome": "kept"})
    found = retention.keeping(company, settings())
    assert list(zip(found.rules["number"], found.rules["state"], strict=True)) == [(2, "in force"), (1, "ended")]
    assert "of the department Biology" in found.rules["what"][1]
    assert list(found.holds["what"]) == ["below /s", "of person Amy"]
    assert list(found.holds["reason"]) == ["case 18", "case 17"]
    assert list(found.holds["state"]) == ["ended", "in force"]
    assert (found.waiting_contents, found.waiting_bytes) == (1, content["blob_size"])
    (waits,) = found.waiting.to_dict("records")
    assert (waits["store_name"], waits["size"]) == ("folder:/srv/store", content["blob_size"])
    assert waits["goes_at"] == found.first_goes_at == MONDAY + timedelta(days=9 + settings().store.quarantine_days)
    assert list(found.ended["outcome"]) == ["kept: there is a reason again"]
    assert set(found.waiting["file_name"]) <= {"plates.csv", "copy of plates.csv"}
