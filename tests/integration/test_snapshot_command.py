"""``data-platform snapshot``, on a catalogue with and without departments."""

from __future__ import annotations

import json
from datetime import date

import pytest
from click.testing import CliRunner

from data_platform import face
from data_platform.cli import main
from data_platform.errors import SnapshotRefused
from populate.snapshot import Snapshot
from schemas.binding import Binding
from schemas.identity import account_id
from schemas.people import Department, Membership, Person


def run(*arguments: str) -> str:
    done = CliRunner().invoke(main, ["snapshot", *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_nothing_to_tell_is_said_so(binding: Binding) -> None:
    assert run().startswith("Snapshot 1. No working ties between two departments")


def test_a_day_to_come_is_refused_in_one_sentence(binding: Binding) -> None:
    with pytest.raises(SnapshotRefused):
        face.snapshot(date(9999, 12, 31))
    done = CliRunner().invoke(main, ["snapshot", "--day", "9999-12-31"])
    assert done.exit_code == 1
    assert "9999-12-31 has not begun yet" in done.stderr
    assert "Traceback" not in done.output
    assert len(Snapshot()) == 0


def test_departments_are_listed_and_small_ones_are_not(binding: Binding) -> None:
    for department, people in (("Chemistry", 7), ("Legal", 2), ("Screening", 9), ("IT", 3)):
        Department.insert1({"department": department})
        for number in range(people):
            person = account_id("lab", f"{department} {number}")
            Person.insert1({"person_id": person, "full_name": f"{department} {number}", "person_kind": "person"})
            Membership.insert1({"person_id": person, "member_since": "2024-01-01", "department": department})
    told = json.loads(run("--json", "--day", "2026-03-31"))
    assert [row["department"] for row in told["departments"]] == ["Chemistry", "Screening"]
    assert told["hidden"] == 2
    text = run()
    assert "Chemistry" in text
    assert "Legal" not in text
    assert "2 departments are not shown" in text
