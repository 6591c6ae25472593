"""A segment gives back what was appended, whatever happened to its tail."""

from __future__ import annotations

import errno
import stat
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_platform.errors import OutboxError
from readers import segment
from readers.segment import MappedSegment, SegmentWriter, create_segment, framed_size, records

PAYLOADS = [b'{"n":%d,"text":"%s"}' % (n, b"x" * (n * 7 % 40)) for n in range(12)]
Opened = Callable[..., SegmentWriter]


@pytest.fixture(params=[True, False], ids=["mapped", "written"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    def make(size: int = 8192) -> SegmentWriter:
        return create_segment(tmp_path, size, mapped=request.param)

    return make


def payloads(path: Path, *, complete: bool = False, start: int = segment.HEADER) -> list[bytes | None]:
    return [record.payload for record in records(path, start, complete=complete)]


def fill(writer: SegmentWriter) -> None:
    for payload in PAYLOADS:
        assert writer.append(payload)


def test_what_was_appended_is_read_while_the_segment_is_open_and_after(opened: Opened) -> None:
    writer = opened()
    fill(writer)
    assert payloads(writer.path) == PAYLOADS
    writer.close()
    assert payloads(writer.path) == payloads(writer.path, complete=True) == PAYLOADS


def test_reading_goes_on_where_it_ended(opened: Opened) -> None:
    writer = opened()
    fill(writer)
    *_, last = records(writer.path, segment.HEADER, complete=False)
    assert payloads(writer.path, start=last.end) == []
    assert writer.append(b"later")
    assert payloads(writer.path, start=last.end) == [b"later"]
    writer.close()


def test_a_full_segment_refuses_and_keeps_what_it_has(opened: Opened) -> None:
    writer = opened(4096)
    accepted = 0
    while writer.append(b"p" * 100):
        accepted += 1
    assert accepted == (4096 - segment.HEADER) // framed_size(100)
    assert payloads(writer.path) == [b"p" * 100] * accepted
    writer.close()
    assert payloads(writer.path, complete=True) == [b"p" * 100] * accepted


def test_a_record_that_fills_the_segment_to_its_last_byte_fits(opened: Opened) -> None:
    writer = opened(4096)
    largest = b"p" * (4096 - segment.HEADER - segment.PREFIX)
    assert writer.append(largest)
    assert not writer.append(b"")
    writer.close()
    assert payloads(writer.path, complete=True) == [largest]


def test_closing_gives_back_what_was_not_used(opened: Opened) -> None:
    writer = opened(1 << 20)
    writer.append(b"12345678")
    writer.close()
    assert writer.path.stat().st_size == segment.HEADER + framed_size(8)


def test_only_the_owner_may_read_a_segment(opened: Opened) -> None:
    writer = opened()
    assert stat.S_IMODE(writer.path.stat().st_mode) == 0o600
    writer.close()


def test_a_segment_is_alive_until_it_is_closed(opened: Opened) -> None:
    writer = opened()
    assert segment.alive(writer.path)
    writer.close()
    assert not segment.alive(writer.path)
    assert not segment.alive(writer.path.with_name("never-there"))


def test_a_segment_that_its_process_lets_go_of_keeps_its_size(tmp_path: Path) -> None:
    writer = create_segment(tmp_path, 8192, mapped=True)
    writer.append(b"kept")
    writer.abandon()
    assert writer.path.stat().st_size == 8192
    assert not segment.alive(writer.path)
    assert payloads(writer.path, complete=True) == [b"kept"]


def test_half_a_record_is_never_seen(tmp_path: Path) -> None:
    """Whatever byte of a write was the last to reach the file, only whole records are read."""
    writer = create_segment(tmp_path, 8192, mapped=False)
    fill(writer)
    writer.close()
    whole = writer.path.read_bytes()
    ends = [record.end for record in records(writer.path, segment.HEADER, complete=True)]
    for cut in range(segment.HEADER, len(whole)):
        writer.path.write_bytes(whole[:cut])
        # Padding may be missing: a payload that is whole counts.
        there = sum(end - 7 <= cut and payloads_fit(whole, end, cut) for end in ends)
        assert payloads(writer.path) == PAYLOADS[:there]
        read = payloads(writer.path, complete=True)
        assert [payload for payload in read if payload is not None] == PAYLOADS[:there]


def payloads_fit(whole: bytes, end: int, cut: int) -> bool:
    """Tell whether only padding of the record that ends at `end` is cut off."""
    return not whole[cut:end].strip(b"\0")


def test_a_record_without_its_length_does_not_exist_yet(tmp_path: Path) -> None:
    """The state in which kill -9 between the stores of an append leaves the file."""
    writer = create_segment(tmp_path, 8192, mapped=True)
    fill(writer)
    *_, last = records(writer.path, segment.HEADER, complete=False)
    with writer.path.open("r+b") as file:
        file.seek(last.start)
        file.write(bytes(4))
    assert payloads(writer.path) == PAYLOADS[:-1]
    assert payloads(writer.path, complete=True) == [*PAYLOADS[:-1], None]  # set aside, not fatal
    writer.abandon()


def test_what_an_interrupted_append_left_is_not_taken_for_a_record(tmp_path: Path) -> None:
    """A signal may end an append anywhere; the next one then writes over its remains."""
    writer = create_segment(tmp_path, 8192, mapped=True)
    writer.append(b"first")
    remains = struct.pack("=II", 24, 0) * 100
    at = segment.HEADER + framed_size(5) + 4
    assert isinstance(writer, MappedSegment)
    writer._map[at : at + len(remains)] = remains
    writer.append(b"second")
    writer.append(b"third")
    assert payloads(writer.path) == [b"first", b"second", b"third"]
    writer.close()
    assert payloads(writer.path, complete=True) == [b"first", b"second", b"third"]


def test_an_append_that_was_interrupted_after_its_last_store_counts(tmp_path: Path) -> None:
    writer = create_segment(tmp_path, 8192, mapped=True)
    assert isinstance(writer, MappedSegment)
    writer.append(b"first")
    before = writer._end
    writer.append(b"second")
    writer._end = before  # the interrupt came before this line of the append
    writer.append(b"third")
    assert payloads(writer.path) == [b"first", b"second", b"third"]
    writer.close()


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("place", ["length", "checksum", "payload"])
def test_a_damaged_record_does_not_hide_those_behind_it(opened: Opened, place: str, complete: bool) -> None:
    writer = opened()
    fill(writer)
    writer.close()
    victim = list(records(writer.path, segment.HEADER, complete=True))[4]
    offset = victim.start + {"length": 0, "checksum": 4, "payload": 9}[place]
    data = bytearray(writer.path.read_bytes())
    data[offset] ^= 0xFF
    writer.path.write_bytes(data)
    found = list(records(writer.path, segment.HEADER, complete=complete))
    assert [record.payload for record in found] == [*PAYLOADS[:4], None, *PAYLOADS[5:]]
    assert (found[4].start, found[4].end) == (victim.start, victim.end)


def test_a_page_that_a_power_loss_took_hides_nothing_behind_it(tmp_path: Path) -> None:
    writer = create_segment(tmp_path, 1 << 16, mapped=True)
    texts = [b'{"n":%d}' % n + b" " * 300 for n in range(100)]
    for text in texts:
        writer.append(text)
    writer.close()
    data = bytearray(writer.path.read_bytes())
    data[8192:12288] = bytes(4096)
    writer.path.write_bytes(data)
    survivors = [payload for payload in payloads(writer.path, complete=True) if payload is not None]
    untouched = [
        text for n, text in enumerate(texts) if not 8192 - 320 < segment.HEADER + n * framed_size(len(text)) < 12288
    ]
    assert set(untouched) <= set(survivors) <= set(texts)
    assert survivors[-1] == texts[-1]


def test_the_first_record_is_found_by_itself(opened: Opened) -> None:
    writer = opened()
    fill(writer)
    assert segment.first_payload(writer.path) == PAYLOADS[0]
    writer.close()
    data = bytearray(writer.path.read_bytes())
    data[segment.HEADER + 9] ^= 1
    writer.path.write_bytes(data)
    assert segment.first_payload(writer.path) == b""
    writer.path.write_bytes(data[: segment.HEADER])
    assert segment.first_payload(writer.path) == b""


def test_what_a_dead_writer_did_not_use_is_given_back(tmp_path: Path) -> None:
    writer = create_segment(tmp_path, 1 << 20, mapped=True)
    fill(writer)
    writer.abandon()
    end = list(records(writer.path, segment.HEADER, complete=True))[-1].end
    segment.trim(writer.path)
    assert writer.path.stat().st_size == end
    assert payloads(writer.path, complete=True) == PAYLOADS
    assert not segment.anything_at(writer.path, end)
    assert segment.anything_at(writer.path, end - 8)


@pytest.mark.parametrize(
    "head", [b"", b"DPOUTBOX", b"SOMETHINGELSE!!!", b"DPOUTBOX" + struct.pack("=I", 2) + bytes(52)]
)
def test_a_file_of_another_format_is_refused(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "odd.segment"
    path.write_bytes(head)
    with pytest.raises(OutboxError, match="not a segment that this release reads"):
        segment.check_header(path)


def test_a_segment_that_cannot_be_made_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        create_segment(tmp_path, 8192, mapped=True)
    assert list(tmp_path.iterdir()) == []


def test_where_blocks_cannot_be_reserved_zeros_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr("os.posix_fallocate", unsupported)
    writer = create_segment(tmp_path, 1 << 18, mapped=True)
    assert writer.path.stat().st_blocks * 512 >= 1 << 18
    fill(writer)
    assert payloads(writer.path) == PAYLOADS
    writer.close()


def test_only_file_systems_that_cannot_fail_a_store_are_mapped(tmp_path: Path) -> None:
    assert segment.mappable(Path("/dev/shm"))
    assert not segment.mappable(Path("/proc/self"))


@given(st.lists(st.binary(min_size=1, max_size=600), max_size=40), st.booleans())
@settings(max_examples=50, deadline=None)
def test_any_payloads_come_back(tmp_path_factory: pytest.TempPathFactory, texts: list[bytes], mapped: bool) -> None:
    writer = create_segment(tmp_path_factory.mktemp("any"), 1 << 16, mapped=mapped)
    assert all(writer.append(text) for text in texts)
    assert payloads(writer.path) == texts
    writer.close()
    assert payloads(writer.path, complete=True) == texts
