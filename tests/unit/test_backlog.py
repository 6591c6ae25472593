"""The deliverer's view of an outbox: what comes next, what is done, what can go."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from readers import segment
from readers.backlog import Backlog, Batch, pending
from readers.segment import SegmentWriter, create_segment

RUN = b'{"execution_id":"run"}'


@pytest.fixture
def backlog(tmp_path: Path) -> Backlog:
    return Backlog(tmp_path / "outbox")


@pytest.fixture
def writer(backlog: Backlog) -> Iterator[SegmentWriter]:
    made = start_segment(backlog)
    yield made
    if segment.alive(made.path):
        made.close()


def start_segment(backlog: Backlog, *, mapped: bool = True) -> SegmentWriter:
    backlog.folder.mkdir(mode=0o700, exist_ok=True)
    made = create_segment(backlog.folder, 8192, mapped=mapped)
    made.append(RUN)
    return made


def fill(writer: SegmentWriter, count: int, start: int = 0) -> list[bytes]:
    payloads = [b'{"event_id":"%d"}' % n for n in range(start, start + count)]
    assert all(writer.append(payload) for payload in payloads)
    return payloads


def taken(batch: Batch) -> list[bytes]:
    return [event.payload for event in batch.events]


def test_a_missing_outbox_has_nothing_to_deliver(backlog: Backlog) -> None:
    assert backlog.pending() == pending(backlog.folder) == 0
    assert not backlog.waiting()
    assert not backlog.in_use()
    assert backlog.ends() == {}
    assert backlog.reached({})


def test_accesses_are_counted_without_their_runs(backlog: Backlog, writer: SegmentWriter) -> None:
    assert backlog.pending() == 0
    fill(writer, 3)
    assert backlog.pending() == pending(backlog.folder) == 3


def test_each_access_comes_with_its_run_and_only_until_it_is_done(backlog: Backlog, writer: SegmentWriter) -> None:
    payloads = fill(writer, 5)
    batch = backlog.take(3)
    assert taken(batch) == payloads[:3]
    assert {event.run for event in batch.events} == {RUN}
    backlog.done(batch)
    assert backlog.pending() == 2
    assert taken(backlog.take(3)) == payloads[3:]


def test_a_batch_combines_segments(backlog: Backlog) -> None:
    first, second = start_segment(backlog), start_segment(backlog)
    payloads = fill(first, 3) + fill(second, 3, start=3)
    batch = backlog.take(5)
    assert len(batch.events) == 5
    backlog.done(batch)
    rest = backlog.take(5)
    assert sorted(taken(batch) + taken(rest)) == payloads
    first.close()
    second.close()


def test_what_was_attempted_is_attempted_again_unchanged(backlog: Backlog, writer: SegmentWriter) -> None:
    first = backlog.take(10) if fill(writer, 3) else None
    fill(writer, 3, start=3)  # more has come in meanwhile
    again = Backlog(backlog.folder).take(10)  # by another process, after the first was killed
    assert again == first
    backlog.done(again)
    assert len(backlog.take(10).events) == 3


def test_an_attempt_whose_segment_is_gone_is_forgotten(backlog: Backlog, writer: SegmentWriter) -> None:
    fill(writer, 2)
    backlog.take(10)
    writer.path.unlink()
    other = start_segment(backlog)
    payloads = fill(other, 2, start=2)
    assert taken(backlog.take(10)) == payloads
    other.close()


def test_a_lost_or_broken_cursor_starts_from_the_beginning(
    backlog: Backlog, writer: SegmentWriter, caplog: pytest.LogCaptureFixture
) -> None:
    payloads = fill(writer, 3)
    backlog.done(backlog.take(10))
    cursor = backlog.folder / "cursor.json"
    for broken in (b"", b"{", b"[]", b'{"delivered":[],"attempt":{}}', b'{"delivered":{}}', b"\xff\xfe"):
        cursor.write_bytes(broken)
        assert Backlog(backlog.folder).pending() == 3
    assert "sent again, which changes nothing" in caplog.text
    cursor.unlink()
    assert taken(Backlog(backlog.folder).take(10)) == payloads


def test_a_segment_goes_when_it_is_delivered_and_its_writer_is_gone(backlog: Backlog, writer: SegmentWriter) -> None:
    fill(writer, 2)
    backlog.done(backlog.take(10))
    backlog.sweep()
    assert writer.path.exists(), "its writer still has it open"
    fill(writer, 1, start=2)
    writer.close()
    backlog.sweep()
    assert writer.path.exists(), "it holds an access that is not delivered"
    backlog.done(backlog.take(10))
    backlog.sweep()
    assert not writer.path.exists()
    assert json.loads((backlog.folder / "cursor.json").read_bytes()) == {"delivered": {}, "attempt": {}}


def test_a_segment_without_accesses_goes_too(backlog: Backlog) -> None:
    start_segment(backlog).close()
    assert backlog.waiting()
    batch = backlog.take(10)
    assert batch.events == []
    backlog.done(batch)
    assert not backlog.waiting()
    backlog.sweep()
    assert backlog.segments() == []


def test_room_that_a_dead_writer_did_not_use_is_given_back(backlog: Backlog) -> None:
    writer = start_segment(backlog)
    payloads = fill(writer, 2)
    writer.abandon()
    backlog.sweep()
    assert writer.path.stat().st_size < 4096
    assert taken(backlog.take(10)) == payloads


def test_a_torn_last_access_is_set_aside_once_its_writer_is_gone(
    backlog: Backlog, caplog: pytest.LogCaptureFixture
) -> None:
    writer = start_segment(backlog, mapped=False)
    payloads = fill(writer, 3)
    with writer.path.open("r+b") as file:
        file.truncate(writer.path.stat().st_size - 12)
    assert taken(backlog.take(10)) == payloads[:2]
    assert not (backlog.folder / "set-aside").exists(), "its writer may still be at it"
    backlog.done(backlog.take(10))
    writer.close()
    batch = backlog.take(10)
    assert batch.events == []
    backlog.done(batch)
    backlog.sweep()
    assert backlog.segments() == []
    (kept,) = (backlog.folder / "set-aside").iterdir()
    assert payloads[2][:4] in kept.read_bytes()
    assert kept.stat().st_mode & 0o077 == 0
    assert "is damaged" in caplog.text


def test_a_damaged_access_does_not_stop_the_others(backlog: Backlog, writer: SegmentWriter) -> None:
    payloads = fill(writer, 5)
    victim = list(segment.records(writer.path, segment.HEADER, complete=False))[3]
    with writer.path.open("r+b") as file:
        file.seek(victim.start + 10)
        file.write(b"#")
    batch = backlog.take(10)
    assert taken(batch) == payloads[:2] + payloads[3:]
    assert taken(Backlog(backlog.folder).take(10)) == taken(batch)  # attempted again: set aside once
    assert len(list((backlog.folder / "set-aside").iterdir())) == 1


def test_accesses_of_a_damaged_run_are_delivered_without_it(backlog: Backlog, writer: SegmentWriter) -> None:
    payloads = fill(writer, 2)
    with writer.path.open("r+b") as file:
        file.seek(segment.HEADER + 10)
        file.write(b"#")
    batch = backlog.take(10)
    assert taken(batch) == payloads
    assert {event.run for event in batch.events} == {b""}


def test_a_segment_of_another_release_is_left_alone(
    backlog: Backlog, writer: SegmentWriter, caplog: pytest.LogCaptureFixture
) -> None:
    fill(writer, 1)
    foreign = backlog.folder / "000000000000-1-ff.segment"
    foreign.write_bytes(b"DPOUTBOX\x63\0\0\0" + bytes(500))
    assert backlog.pending() == 1
    backlog.done(backlog.take(10))
    backlog.sweep()
    assert foreign.exists()
    assert caplog.text.count("not a segment that this release reads") == 1


def test_a_batch_is_bounded_in_bytes(backlog: Backlog, writer: SegmentWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("readers.backlog.BATCH_BYTES", 100)
    fill(writer, 20)
    sizes = []
    while backlog.pending():
        batch = backlog.take(1000)
        sizes.append(len(batch.events))
        backlog.done(batch)
    assert sum(sizes) == 20
    assert max(sizes) < 10


def test_drafts_of_dead_writers_are_swept(backlog: Backlog, writer: SegmentWriter) -> None:
    fresh, stale = backlog.folder / "a.new", backlog.folder / "b.new"
    for path in (fresh, stale):
        path.touch()
    os.utime(stale, (0, 0))
    backlog.sweep()
    assert fresh.exists()
    assert not stale.exists()


def test_a_disk_that_is_too_full_for_the_cursor_does_not_stop_the_delivery(
    backlog: Backlog, writer: SegmentWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is delivered has to go first to make room."""
    payloads = fill(writer, 4)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("readers.backlog._replace", full)
        backlog.done(first := backlog.take(3))
        assert taken(first) == payloads[:3]
        assert taken(backlog.take(3)) == payloads[3:]
    backlog.done(backlog.take(3))
    assert Backlog(backlog.folder).pending() == 0


def test_flush_knows_when_it_is_done_while_others_go_on_appending(backlog: Backlog, writer: SegmentWriter) -> None:
    fill(writer, 3)
    ends = backlog.ends()
    fill(writer, 3, start=3)
    backlog.done(backlog.take(2))
    assert not backlog.reached(ends)
    backlog.done(backlog.take(2))
    assert backlog.reached(ends)
    assert backlog.waiting()


def test_the_folder_is_made_for_its_owner_only(backlog: Backlog, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with backlog.exclusively():
        assert backlog.folder.stat().st_mode & 0o777 == 0o700
    backlog.folder.chmod(0o755)
    with backlog.exclusively():
        assert backlog.folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in backlog.folder.iterdir()} == {0o600}
