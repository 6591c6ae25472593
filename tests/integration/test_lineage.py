"""What a real program that listens is told of runs, and what becomes of that when it is not well."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from servers.receiver import Answer, Posted, Receiver, receiver, taken
from small_company import MONDAY, REALM, deliver, hire, path_id, person

from data_platform.errors import SettingsError, SourceUnavailable, UnsafeLink
from data_platform.settings import Settings, load
from populate.lineage import facts
from populate.lineage.emitting import Backend, Emitted, emit_due
from populate.lineage.tables import LineageFailed, LineageRefused, LineageSent
from populate.watch.status import left_to_do
from populate.work.scheduler import _errands
from schemas.binding import Binding
from schemas.identity import identity
from schemas.output import Output
from schemas.sharing import Execution

SCHEMA = Path(__file__).parents[1] / "data/openlineage/OpenLineage.json"
FLOW = "https://git.example.org/lab/flow.git"
KEY = "key-of-the-backend"


@pytest.fixture
def listening() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


def wrote(batch: str, run: str, path: str) -> None:
    row = {
        **{"event_id": identity("output", batch), "batch_id": identity("batch", batch), "execution_id": run},
        **{"written_at": MONDAY + timedelta(days=1), "account_realm": REALM, "account_login": "bob"},
        **{"account_id": person("bob"), "file_id": path_id(path), "file_name": path[1:], "file_path": path},
        **{"source_system": "file/lab", "sha256": "e" * 64},
    }
    Output.insert1(row)


def told_to(at: Receiver, folder: Path) -> Settings:
    (folder / "token").write_text(f"{KEY}\n")
    return load(lineage={"url": f"{at.url}/api/v1/lineage", "token_file": folder / "token"})


def ill_after(at: Receiver, sent: int, status: int) -> Callable[[Posted], Answer]:
    return lambda posted: taken(posted) if len(at.posted) < sent else (status, {}, b"no")


def test_every_delivery_is_told_once_the_backend_is_well_again(
    binding: Binding, listening: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hire("bob", "Lab", name="Robert Roe")
    run = deliver(
        binding, [("bob", "/plate.csv", "bob", 0)], batch="one", script="/home/bob/flow/steps/run.py", repository=FLOW
    )
    wrote("one", run, "/table.csv")
    Execution.update1({"execution_id": run, "commit_id": "c" * 40})
    for number, batch in enumerate(("two", "three"), start=1):
        deliver(binding, [("bob", f"/{batch}.csv", "bob", number)], batch=batch)
    assert emit_due(binding) == Emitted(0, 0, 0)  # off by default
    assert "populate.lineage" not in {getattr(errand, "_module", "") for errand in _errands(binding)}
    monkeypatch.setattr(binding, "settings", told_to(listening, tmp_path))
    assert "populate.lineage" in {getattr(errand, "_module", "") for errand in _errands(binding)}

    # It falls ill in the middle of the second delivery: what it took is known, and the rest waits.
    for sent, status in ((4, 503), (6, 401)):
        listening.answer = ill_after(listening, sent, status)
        with pytest.raises(SourceUnavailable, match=str(status)) as ill:
            emit_due(binding)
        assert KEY not in str(ill.value)
        assert (len(listening.posted), len(LineageSent())) == (sent, 1)
    # It does not want the next: that is not sent again.
    listening.answer = lambda posted: (422, {}, b"odd") if len(listening.posted) == 7 else taken(posted)
    assert emit_due(binding) == Emitted(1, 2, 1)
    assert emit_due(binding) == Emitted(0, 0, 0)
    assert (len(LineageSent()), LineageRefused.fetch1("lineage_status")) == (2, 422)
    assert len(listening.posted) == 9

    valid = Draft202012Validator(json.loads(SCHEMA.read_text()), format_checker=FormatChecker())
    for posted in listening.posted:
        valid.validate(posted.json())
        assert (posted.target, posted.headers["authorization"]) == ("/api/v1/lineage", f"Bearer {KEY}")
        assert "Robert" not in posted.body.decode()
        assert "/home/bob" not in posted.body.decode()
    posted_events = [posted.json() for posted in listening.posted]
    assert [event["eventType"] for event in posted_events] == ["START", "COMPLETE"] * 3 + ["START"] * 2 + ["COMPLETE"]
    begun, ended = [event for event in posted_events if event["job"]["namespace"] == FLOW][:2]
    assert begun["job"]["facets"]["sourceCodeLocation"]["version"] == "c" * 40
    assert (begun["job"]["name"], begun["inputs"]) == ("steps/run.py", [])
    assert [[data["name"] for data in ended[way]] for way in ("inputs", "outputs")] == [["/plate.csv"], ["/table.csv"]]
    assert posted_events[2] == posted_events[4]  # what is sent again is the same event


@pytest.mark.parametrize("backend", ["postgresql"])
def test_deliveries_that_a_backend_fails_at_do_not_hold_up_others(
    binding: Binding, listening: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hire("bob", "Lab", name="Robert Roe")
    for number, batch in enumerate(("odd", "strange", "good")):
        deliver(binding, [("bob", f"/{batch}.csv", "bob", number)], batch=batch)
    monkeypatch.setattr(binding, "settings", told_to(listening, tmp_path))
    failed: tuple[bytes, ...] = (b"odd", b"strange", b"good")

    def answer(posted: Posted) -> Answer:
        return (500, {}, b"no") if any(b"/%s.csv" % name in posted.body for name in failed) else taken(posted)

    def untold() -> int:
        return left_to_do(binding, binding.settings)["lineage_untold"]

    listening.answer = answer
    assert untold() == 3
    first = facts.due(binding, 1)
    assert first + facts.due(binding, 9, first[-1]) == facts.due(binding, 9)  # a round looks for each once
    with pytest.raises(SourceUnavailable, match="500"):  # it may be that it is not well
        emit_due(binding)
    assert (untold(), len(LineageFailed())) == (3, 0)
    failed = b"odd", b"strange"
    assert emit_due(binding).deliveries == 1
    assert (untold(), len(LineageFailed())) == (2, 2)
    sent = len(listening.posted)
    assert emit_due(binding) == Emitted(0, 0, 0)  # and is not asked again before long
    assert len(listening.posted) == sent
    assert min(facts.failing(binding).values()) > max(LineageFailed.to_arrays("lineage_failed_at"))
    monkeypatch.setattr(facts, "LONGEST_WAIT", timedelta())
    failed = (b"odd",)
    assert emit_due(binding).deliveries == 1
    assert (untold(), len(LineageFailed())) == (1, 3)
    failed = ()
    assert emit_due(binding).deliveries == 1
    assert (untold(), facts.failing(binding)) == (0, {})


def test_it_is_spoken_to_in_safety_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(UnsafeLink, match="https"):
        Backend(load(lineage={"url": "http://lineage.example.org/api/v1/lineage"}))
    Backend(load(lineage={"url": "https://lineage.example.org/api/v1/lineage"}))
    (tmp_path / "empty").write_text("\n")
    for name in ("missing", "empty"):
        with pytest.raises(SettingsError, match="token"):
            Backend(load(lineage={"url": "https://lineage.example.org", "token_file": tmp_path / name}))
    with pytest.raises(SettingsError, match="without login and query"):
        load(lineage={"url": "https://me:secret@lineage.example.org"})
