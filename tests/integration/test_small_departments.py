"""An attacker's view of a company with a department of four: every figure by every door, before and after.

Of two companies that differ only inside of departments that are hidden the figures have to be the same.
"""

from __future__ import annotations

import json
import random
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from conversing import PLATES, catalogue, file_of, hire, login, person_id
from deliveries import Record, read, sha256

from dashboard.queries import manage
from data_platform.cli import main
from populate.adoption.report import report_of
from populate.adoption.tables import Adoption
from populate.conversation.ledger import Ledger, ledger
from populate.conversation.questions import Question, QuestionCopy
from populate.insight.graph import graph_of
from populate.insight.publish import published
from populate.silo import SiloBridge, SiloMetric
from populate.staff import SnapshotStint
from schemas.binding import Binding
from schemas.catalogue import Version
from schemas.conversation import Answer
from schemas.identity import identity
from schemas.people import Account, Department, Departure, Membership, Person

SIZES = {"Small": 4, "Next": 6, "Third": 12, "Fourth": 14, "Fifth": 16}
HIDDEN = ("Small", "Next")
DAY = date(2026, 5, 31)
NOW = datetime(2026, 6, 1, 9)


def people(department: str, number: int = 0) -> list[str]:
    """Return the people of a department, or the first ones; two of *Next* do nothing."""
    return [f"{department.lower()}{place}" for place in range(number or min(SIZES[department], 16))]


def hire_everybody() -> None:
    names = [(name, department) for department in SIZES for name in people(department)]
    Department.insert({"department": department} for department in SIZES)
    Person.insert({"person_id": person_id(n), "full_name": n.title(), "person_kind": "person"} for n, _ in names)
    Account.insert(
        {"account_id": person_id(n), "realm": "acme", "login": login(n), "person_id": person_id(n)} for n, _ in names
    )
    Membership.insert(
        {"person_id": person_id(n), "member_since": date(2026, 1, 1), "department": department}
        for n, department in names
    )


def reads_of_everybody() -> list[Record]:
    """Return reads in two weeks each, so that they are working ties: of whoever is there, of whatever they have."""
    chance = random.Random(4)
    active = [name for department in SIZES for name in people(department) if name not in {"next4", "next5"}]
    ties = {(chance.choice(active), chance.choice(active)) for _ in range(330)}
    files = {name: file_of(name) for name in active}
    return [
        read(files[owner], login(reader), owner.encode(), day=day)
        for owner, reader in sorted(ties)
        if owner != reader
        for day in (1, 8)
    ]


def doors(binding: Binding) -> dict[str, Any]:
    """Return all that is told of departments, by whatever tells it."""
    found: dict[str, Any] = {}
    silos = manage.silos(binding, 1, "standard")
    found["silos"] = silos.shown.sentence, silos.shown.hidden, _rounded(dict(silos.shown.organisation))
    found["departments"], found["pairs"], found["trend"] = (
        _rows(frame) for frame in (silos.shown.departments, silos.shown.pairs, silos.trend)
    )
    graph = graph_of(silos.shown)
    found["graph"] = [{str(key): _rounded(row) for key, row in ends.items()} for ends in (graph.nodes, graph.edges)]
    found["graph"] = str(found["graph"])
    use = manage.adoption(binding)
    assert use is not None
    found["adoption"] = str([use.now.organisation, use.now.departments, use.now.sources, use.now.hidden])
    found["sentences"], found["figures"] = use.sentences, use.figures
    found["adoption over time"] = _rows(manage.adoption_trend(binding))
    found["report"] = str(report_of())
    found["ledger"] = ledger(binding, now=NOW)
    return found


def _rows(frame: Any) -> str:
    return str([_rounded(row) for row in frame.to_dict("records")])


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    """Return figures without the last digits, which depend on the order in which they are added up."""
    return {name: float(f"{value:.9g}") if isinstance(value, float) else value for name, value in row.items()}


def swap() -> None:
    """Let four people of *Small* and four of *Next* have each other's places, for the first snapshot too."""
    other = {person_id(name): "Next" for name in people("Small")} | {person_id(n): "Small" for n in people("Next", 4)}
    for table, column in ((Membership(), "department"), (SnapshotStint(), "stint_department")):
        for row in table.to_dicts():
            if row["person_id"] in other:
                table.update1({name: row[name] for name in table.primary_key} | {column: other[row["person_id"]]})


def of_small() -> list[Any]:
    """Return what only the tables tell."""
    return [(table() & {"department": "Small"}).to_dicts() for table in (SiloMetric.Department, Adoption.Department)]


def snapshot() -> dict[str, Any]:
    done = CliRunner().invoke(main, ["snapshot", "--day", str(DAY), "--json"])
    assert done.exit_code == 0, done.output
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.mark.parametrize("backend", ["postgresql"])  # what is shown of the rows is not the database's
def test_what_people_of_hidden_departments_do_for_each_other_changes_no_figure(binding: Binding) -> None:
    hire_everybody()
    catalogue(binding, reads_of_everybody())
    told, secret, before = snapshot(), of_small(), doors(binding)
    assert {"Small", "Next"} <= published(1).hidden
    assert told["departments"]
    assert not any(name in json.dumps(told) + before["report"] for name in HIDDEN)

    swap()
    for table in (SiloMetric(), Adoption(), SiloBridge()):
        (table & {"snapshot_no": 1}).delete(prompt=False)
    SiloMetric.populate({"silo_parameter": "standard"})
    Adoption.populate()
    assert of_small() != secret
    after = doors(binding)
    assert [name for name in before if before[name] != after[name]] == []


class Conversation:
    """People are asked about copies, promise to remove them, and do; all of them have one copy at a time."""

    def __init__(self, binding: Binding) -> None:
        self._binding, self._number = binding, 0

    def promise(self, person: str, when: datetime, data: bytes) -> None:
        thing, sha = file_of(person, f"{sha256(data)[:8]}.csv"), sha256(data)
        self._read(read(thing, "reader@example.org", data), when - timedelta(hours=1))
        question = identity("question", person, sha)
        Question.insert1({"question_id": question, "person_id": person_id(person), "sha256": sha, "raised_at": when})
        (version,) = (Version() & {"sha256": sha}).to_dicts()
        copy = {"question_id": question, "file_id": version["file_id"], "version_id": version["version_id"]}
        QuestionCopy.insert1(copy)
        said = {"answer_id": identity("answer", person, sha), "question_id": question, "answer": "withdraw"}
        Answer.insert1({**said, "answered_at": when, "answered_by": "link"})

    def remove(self, person: str, when: datetime, data: bytes) -> None:
        record = read(file_of(person, f"{sha256(data)[:8]}.csv"), error=FileNotFoundError("gone"))
        self._read(record | {"outcome": "SourceNotFound"}, when)

    def put_back(self, person: str, when: datetime, data: bytes) -> None:
        self._read(read(file_of(person, f"{sha256(data)[:8]}.csv"), "reader@example.org", data, "again"), when)

    def _read(self, record: Record, when: datetime) -> None:
        self._number += 1
        catalogue(self._binding, [record | {"accessed_at": when.isoformat()}], f"read {self._number}")


def saved(found: Ledger) -> dict[str, int]:
    return {f"{entry.month} {entry.department}": entry.bytes_saved for entry in found.entries}


def test_the_ledger_tells_nothing_of_four_nor_of_five_who_became_four(binding: Binding) -> None:
    hire(*(f"big{n}" for n in range(6)), department="Big")
    hire(*(f"small{n}" for n in range(4)), department="Small")
    hire(*(f"five{n}" for n in range(5)), department="Five")
    talk, size, day = Conversation(binding), len(PLATES), timedelta(days=1)
    contents = {who: PLATES[:-1] + bytes([number]) for number, who in enumerate(("big", "small", "five", "five new"))}
    for who in ("big", "small", "five"):
        for number in (0, 1):
            talk.promise(f"{who}{number}", NOW, bytes([number]) + contents[who][1:])
        talk.remove(f"{who}0", NOW + day, bytes([0]) + contents[who][1:])
    first = ledger(binding, now=NOW + 2 * day)
    assert saved(first) == {"2026-06 Big": size, "2026-06 Five": size}
    assert (first.hidden, first.copies, first.bytes_saved, first.bytes_promised) == (1, 2, 2 * size, 2 * size)

    Departure.insert1({"person_id": person_id("five4"), "departed_on": (NOW + 3 * day).date()})
    shrunk = ledger(binding, now=NOW + 4 * day)
    assert saved(shrunk) == {"2026-06 Big": size}
    assert (shrunk.hidden, shrunk.copies, shrunk.bytes_saved, shrunk.bytes_promised) == (2, 1, size, size)

    # Another company, in which both departments of four go on: nobody can tell the two apart, now or later.
    for who in ("small", "five"):
        talk.remove(f"{who}1", NOW + 5 * day, bytes([1]) + contents[who][1:])
        talk.put_back(f"{who}0", NOW + 5 * day, bytes([0]) + contents[who][1:])
        talk.promise(f"{who}2", NOW + 6 * day, bytes([2]) + contents[who][1:])
        talk.promise(f"{who}3", NOW + 6 * day, bytes([3]) + contents[who][1:])
        talk.remove(f"{who}3", NOW + 7 * day, bytes([3]) + contents[who][1:])
        assert ledger(binding, now=NOW + 40 * day) == shrunk
    hire("five5", department="Five", since=(NOW + 50 * day).date())
    regrown = ledger(binding, now=NOW + 60 * day)
    assert (regrown.hidden, saved(regrown), regrown.bytes_promised) == (1, saved(shrunk), size)
    talk.promise("five5", NOW + 51 * day, contents["five new"])
    talk.remove("five5", NOW + 52 * day, contents["five new"])
    assert saved(ledger(binding, now=NOW + 60 * day)) == {"2026-06 Big": size, "2026-07 Five": size}
