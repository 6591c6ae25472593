"""The silo measures through the tables: directory and accesses in, published figures out."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from data_platform.errors import SnapshotRefused
from populate.ingest import Ingest
from populate.insight.graph import ego_graph, silo_graph
from populate.insight.publish import latest_snapshot, published
from populate.silo import SiloBridge, SiloMetric, SiloParameter
from populate.snapshot import BACK_FILL_DAYS, Snapshot, SnapshotBatch, missing_days, take_daily, take_snapshot
from schemas.binding import Binding
from schemas.identity import account_id, file_id, identity
from schemas.people import Account, Department, Departure, Membership, Person
from schemas.sharing import Access, AccessBatch

DATA = Path(__file__).parents[1] / "data" / "silos"
EXPECTED: dict[str, Any] = json.loads((DATA / "expected.json").read_text())
START = datetime(2026, 3, 2)  # a Monday
CONTACTS = {"silo_parameter": "any contact", "window_days": 90, "min_weeks": 1, "min_people": 5,
            "min_expected": 5.0, "ratio_below": 0.5, "false_discovery_rate": 0.05}  # fmt: skip


LONG_AGO = date(2024, 1, 1)


def hire(name: str, department: str, since: date = LONG_AGO, kind: str = "person") -> None:
    key = account_id("lab", name)
    Department.insert1({"department": department}, skip_duplicates=True)
    Person.insert1({"person_id": key, "full_name": name, "person_kind": kind}, skip_duplicates=True)
    Account.insert1({"account_id": key, "realm": "lab", "login": name, "person_id": key}, skip_duplicates=True)
    Membership.insert1({"person_id": key, "member_since": since, "department": department})


def access(number: int, producer: str, consumer: str, moment: datetime) -> dict[str, Any]:
    return {
        "event_id": f"{number:032x}",
        "execution_id": f"{0:032x}",
        "accessed_at": moment,
        "sequence": number,
        "outcome": "ok",
        "account_realm": "lab",
        "account_login": consumer,
        "account_id": account_id("lab", consumer),
        "known_by": "setting",
        "source_system": "file/lab",
        "source_kind": "file",
        "url": f"/share/{producer}.csv",
        "item_id": f"/share/{producer}.csv",
        "file_id": file_id("file/lab", f"/share/{producer}.csv"),
        "owner_realm": "lab",
        "owner_login": producer,
        "revision": "1",
    }


def deliver(binding: Binding, accesses: Iterable[dict[str, Any]], name: str = "batch") -> None:
    rows = list(accesses)
    batch = identity(name)
    with binding.transaction():
        AccessBatch.insert1(
            {"batch_id": batch, "access_count": len(rows), "delivered_at": START, "delivered_from": "lab"}
        )
        Access.insert(({**row, "batch_id": batch} for row in rows), chunk_size=5000)
    Ingest.populate()


def test_a_real_office_through_the_tables(binding: Binding) -> None:
    people = pd.read_csv(DATA / "invs13_people.csv", dtype=str)
    for row in people.itertuples():
        hire(row.person, row.department)
    contacts = pd.read_csv(DATA / "invs13_contacts.csv.gz", dtype={"a": str, "b": str})
    pairs = [(a, b, t) for a, b, t in zip(contacts["a"], contacts["b"], contacts["t_seconds"], strict=True)]
    both = [(x, y, t) for a, b, t in pairs for x, y in ((a, b), (b, a))]
    deliver(binding, (access(i, a, b, START + timedelta(seconds=t)) for i, (a, b, t) in enumerate(both)))
    SiloParameter.insert1(CONTACTS)
    number = take_snapshot(binding, (START + timedelta(days=30)).date())
    SiloMetric.populate({"silo_parameter": "any contact"})

    known = EXPECTED["datasets"]["invs13"]
    found = (SiloMetric() & {"silo_parameter": "any contact"}).fetch1()
    for ours, theirs in (
        ("people_count", "n_people"), ("tie_count", "n_ties"), ("access_count", "n_events"),
        ("cross_share", "cross_share"), ("cross_share_events", "cross_share_events"),
        ("cross_share_expected", "cross_share_expected"), ("silo_index", "segregation"),
        ("permutation_z", "permutation_z_cross_share"), ("cross_share_se", "jackknife_se_cross_share"),
        ("gini_given", "gini_given"), ("pairs_resting_on_one", "pairs_resting_on_one"),
    ):  # fmt: skip
        assert found[ours] == pytest.approx(known["organisation"][theirs], rel=1e-6), ours
    flows = pd.read_csv(DATA / "expected_flows_invs13.csv").dropna().set_index(["giving", "receiving"])
    tables = SiloMetric.Pair.to_dicts()
    assert len(tables) == len(flows)
    for row in tables:
        expected = flows.loc[(row["giving"], row["receiving"])]
        assert row["ties"] == expected["ties"]
        assert row["expected"] == pytest.approx(expected["expected"], rel=1e-6)
        assert row["z"] == pytest.approx(expected["z"], rel=1e-5)
    assert sum(SiloBridge.to_arrays("cross_neighbours")) == known["brokers_sums"]["cross_neighbours"]
    _check_what_is_published(number)


def _check_what_is_published(number: int) -> None:
    """The department of four is hidden, and with it the next smallest, so that no sum gives it away."""
    shown = published(number, "any contact")
    assert shown.hidden == {"SFLE", "SRH"}
    assert shown.departments.set_index("department").loc[["SFLE", "SRH"]].isna().all(axis=None)
    concealed = shown.pairs["giving"].isin(shown.hidden) | shown.pairs["receiving"].isin(shown.hidden)
    assert shown.pairs.loc[concealed, ["ties", "expected", "ratio", "z"]].isna().all(axis=None)
    assert shown.sentence.startswith("35% (± 6%) of working ties cross departments; 74%")
    graph = silo_graph(number, "any contact")
    assert set(graph.nodes) == {"DISQ", "DMCT", "DSE"}
    assert graph.edges["DISQ", "DMCT"]["ties"] == 45
    assert latest_snapshot() == number


def office(weeks: int = 3) -> list[dict[str, Any]]:
    """Ties of a few people over several weeks: amy, bob (A), cyd, dan (B), eve (C)."""
    ties = [("amy", "bob"), ("amy", "cyd"), ("cyd", "dan"), ("dan", "eve"), ("eve", "amy"), ("bob", "dan")]
    moments = [(p, c, START + timedelta(weeks=week)) for week in range(weeks) for p, c in ties]
    return [access(i, p, c, moment) for i, (p, c, moment) in enumerate(moments)]


def hire_office() -> None:
    for name, department in (("amy", "A"), ("bob", "A"), ("cyd", "B"), ("dan", "B"), ("eve", "C")):
        hire(name, department)
    hire("bot", "C", kind="service")


def share(number: int) -> dict[str, Any]:
    SiloMetric.populate({"silo_parameter": "standard"})
    row: dict[str, Any] = (SiloMetric() & {"snapshot_no": number, "silo_parameter": "standard"}).fetch1()
    return row


def test_a_mail_to_all_a_script_and_a_bot_move_nothing(binding: Binding) -> None:
    hire_office()
    deliver(binding, office(), "honest")
    before = share(take_snapshot(binding, date(2026, 4, 1)))
    everybody = ("amy", "bob", "cyd", "dan")
    mail = [access(1000 + i, "eve", name, START + timedelta(hours=i)) for i, name in enumerate(everybody)]
    script = [access(2000 + i, "amy", "eve", START + timedelta(minutes=i)) for i in range(500)]
    bot = [access(3000 + i, "bot", name, START + timedelta(days=i)) for i in range(20) for name in everybody[:1]]
    deliver(binding, mail + script + bot, "gaming")
    after = share(take_snapshot(binding, date(2026, 4, 1)))
    assert after["cross_share"] == before["cross_share"]
    assert after["silo_index"] == before["silo_index"]
    assert after["left_out_service"] == 20


def test_what_a_snapshot_says_never_changes(binding: Binding) -> None:
    hire_office()
    deliver(binding, office(), "first")
    number = take_snapshot(binding, date(2026, 4, 1))
    once = share(number)
    deliver(binding, [access(9000 + w, "amy", "eve", START + timedelta(weeks=w)) for w in range(3)], "late")
    later = take_snapshot(binding, date(2026, 4, 1))
    (SiloMetric() & {"snapshot_no": number}).delete(prompt=False)
    SiloBridge.delete(prompt=False)
    assert share(number) == once
    assert share(later)["tie_count"] == once["tie_count"] + 1
    assert len(SnapshotBatch()) == len(AccessBatch()) == 2
    end = take_snapshot(binding, date(2026, 4, 30))  # of which too few people are new to show it
    assert share(end)["tie_count"] == once["tie_count"] + 1
    assert {published(each).snapshot_no for each in (number, later, end)} == {number}
    assert {(row["close_giving"], row["close_receiving"]) for row in SiloMetric.Close.to_dicts()} >= {("", "")}
    past = take_snapshot(binding, date(2026, 3, 8))  # back-filled: one week only, so no working tie
    assert share(past)["tie_count"] == 0
    assert share(past)["cross_share"] is None


def test_a_move_makes_new_ties_and_a_leaver_is_counted_apart(binding: Binding) -> None:
    hire_office()
    bob = account_id("lab", "bob")
    Department.insert1({"department": "D"})
    Membership.insert1({"person_id": bob, "member_since": date(2026, 3, 9), "department": "D"})
    Departure.insert1({"person_id": account_id("lab", "eve"), "departed_on": date(2026, 3, 10)})
    deliver(binding, office(weeks=4))
    found = share(take_snapshot(binding, date(2026, 4, 1)))
    # amy -> bob and bob -> dan: one week from A, three from D, so both are working ties of D alone.
    departments = {row["department"]: row for row in SiloMetric.Department.to_dicts()}
    assert departments["D"]["received"] == departments["D"]["given"] == 1
    assert departments["A"]["internal"] == 0
    assert found["left_out_unattributed"] == 4  # dan -> eve and eve -> amy in the weeks after eve had left


def test_one_snapshot_a_day_by_itself_and_those_that_were_missed(binding: Binding) -> None:
    now = datetime(2026, 6, 10, 12)
    assert take_daily(binding, now) == []  # nothing was ever delivered
    deliver(binding, office())
    first = f"UPDATE {AccessBatch().full_table_name} SET delivered_at = %s"
    binding.connection.query(first, (now,))
    assert missing_days(binding, now.date()) == []  # the day is not over
    binding.connection.query(first, (now - timedelta(days=3),))
    take_snapshot(binding, date(2026, 6, 8), now=now)
    numbers = take_daily(binding, now)
    days = {row["snapshot_no"]: row["snapshot_day"] for row in Snapshot.to_dicts()}
    assert [days[number] for number in numbers] == [date(2026, 6, 7), date(2026, 6, 9)]
    assert take_daily(binding, now) == []
    assert len(missing_days(binding, now.date() + timedelta(days=400))) == BACK_FILL_DAYS


def test_a_snapshot_of_a_part_of_a_day_is_not_the_day_s(binding: Binding) -> None:
    deliver(binding, office())
    noon = datetime(2026, 6, 10, 12)
    binding.connection.query(f"UPDATE {AccessBatch().full_table_name} SET delivered_at = %s", (noon,))
    partial = take_snapshot(binding, now=noon)
    assert take_daily(binding, noon) == []
    midnight = datetime(2026, 6, 11)
    (whole,) = take_daily(binding, midnight)
    taken = [(row["snapshot_no"], row["snapshot_day"], row["taken_at"]) for row in Snapshot.to_dicts()]
    assert sorted(taken) == [(partial, noon.date(), noon), (whole, noon.date(), midnight)]
    assert take_daily(binding, midnight) == []


def test_a_day_that_has_not_begun_has_no_snapshot(binding: Binding) -> None:
    now = datetime(2026, 6, 10, 23, 59)
    with pytest.raises(SnapshotRefused, match=r"2026-06-11 has not begun .* up to 2026-06-10\."):
        take_snapshot(binding, date(2026, 6, 11), now=now)
    assert len(Snapshot()) == 0
    assert take_snapshot(binding, date(2026, 6, 10), now=now) == 1


def test_a_person_with_everybody_around(binding: Binding) -> None:
    hire_office()
    deliver(binding, office())
    amy, bob, cyd, eve = (account_id("lab", name) for name in ("amy", "bob", "cyd", "eve"))
    graph = ego_graph(binding, amy)
    assert set(graph.edges) == {(amy, bob), (amy, cyd), (eve, amy)}
    assert graph.edges[amy, bob]["file_count"] == 1
