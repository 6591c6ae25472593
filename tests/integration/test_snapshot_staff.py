"""What snapshots know of people: whatever is entered or mended afterwards, their figures say what they said."""

from __future__ import annotations

from datetime import date
from typing import Any

from deliveries import contents
from small_company import deliver, hire, person

from populate.adoption.tables import Adoption
from populate.insight.window import stints
from populate.silo import SiloMetric
from populate.snapshot import take_snapshot
from populate.staff import SnapshotLogin, SnapshotStaff, SnapshotStint, persons_kept, stints_kept
from schemas.binding import Binding
from schemas.people import Account, Department, Departure, Membership, Person

DAY = date(2026, 5, 31)


def company(binding: Binding) -> None:
    for number in range(6):
        hire(f"p{number}", "Screening" if number % 2 else "Clinical")
    hire("robot", "Screening", kind="service")
    reads = [(f"p{number}", "/c/trial.csv", "p0", day) for number in range(1, 6) for day in (1, 9)]
    deliver(binding, reads, batch="reads")


def figures(number: int) -> dict[str, Any]:
    """Compute the figures of a snapshot anew."""
    key = {"snapshot_no": number}
    for table in (Adoption, SiloMetric):
        (table() & key).delete(prompt=False)
        table.populate(key)
    tables = (Adoption, Adoption.Department, Adoption.Source, SiloMetric, SiloMetric.Department, SiloMetric.Pair)
    return {name: [row for row in rows if row[0] == number] for name, rows in contents(*tables).items()}


def known() -> list[tuple[Any, ...]]:
    return sorted(zip(*(stints()[column].tolist() for column in stints()), strict=True))


def mend() -> None:
    """Change everything that may be said otherwise later."""
    Department.insert1({"department": "Legal"})
    Membership.insert1(
        {"person_id": person("p1"), "member_since": date(2026, 5, 2), "department": "Legal", "title": ""}
    )
    (Membership() & {"person_id": person("p2")}).delete_quick()
    Departure.insert1({"person_id": person("p3"), "departed_on": date(2026, 5, 3)})
    Account.update1({"account_id": person("p4"), "person_id": person("p5")})
    Person.update1({"person_id": person("robot"), "person_kind": "person"})


def test_figures_that_are_computed_anew_say_what_they_said(binding: Binding) -> None:
    company(binding)
    first = figures(take_snapshot(binding, DAY))
    assert stints_kept(1) == known()
    mend()
    assert figures(1) == first
    second = figures(take_snapshot(binding, DAY))
    assert stints_kept(2) == known()
    assert persons_kept(2) == {person("p4"): person("p5")}
    assert second["Adoption"] != first["Adoption"]
    assert second["SiloMetric"] != first["SiloMetric"]

    Account.update1({"account_id": person("p4"), "person_id": person("p4")})
    take_snapshot(binding, DAY)
    assert persons_kept(3) == {person("p4"): person("p4")}
    assert [figures(number) for number in (1, 2)] == [first, second]


def test_only_what_has_changed_is_kept(binding: Binding) -> None:
    company(binding)
    for _ in range(3):
        take_snapshot(binding, DAY)
    assert (len(SnapshotStaff()), len(SnapshotStint()), len(SnapshotLogin())) == (3, 7, 0)
    mend()
    take_snapshot(binding, DAY)
    changed = {person(name) for name in ("p1", "p2", "p3", "robot")}
    assert {*(SnapshotStint() & "snapshot_no = 4").to_arrays("person_id")} == changed
    assert len(SnapshotStint() & "snapshot_no = 4") == 5  # p1 in two departments
    assert person("p2") not in {stint[0] for stint in stints_kept(4)}


def test_a_snapshot_of_an_earlier_release_goes_by_what_is_known_now(binding: Binding) -> None:
    company(binding)
    first = figures(take_snapshot(binding, DAY))
    for table in (SnapshotStaff, SnapshotStint):
        table().delete_quick()
    assert figures(1) == first
    Departure.insert1({"person_id": person("p3"), "departed_on": date(2026, 5, 3)})
    assert figures(1) != first
