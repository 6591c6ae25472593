"""What an adopt keeps to and shows, each part by itself: rates, batches at a rate, sizes, progress, files met."""

from __future__ import annotations

from io import StringIO

import click
import pytest

from data_platform.cli.adopting import size
from populate.adopt import seen as seen_files
from populate.adopt.contents import IN_MEMORY, PORTION_BYTES, PORTION_FILES, Member, _portions
from populate.adopt.pace import Pace
from populate.adopt.plan import BATCH_BYTES, MEMBERS, Rate
from populate.adopt.progress import Bars, Lines, adopt_progress_on
from populate.adopt.seen import Seen
from schemas.identity import identity


class Clock:
    """Time that passes only while somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


@pytest.mark.parametrize(("files_per_second", "bytes_per_second", "seconds"), [(0, 0, 0.0), (4, 0, 2.5), (0, 100, 5.0)])
def test_a_rate_is_kept_and_no_slower(files_per_second: float, bytes_per_second: float, seconds: float) -> None:
    clock = Clock()
    pace = Pace(files_per_second, bytes_per_second, clock)
    for _ in range(10):
        pace.pay(1, 0, clock.wait)
        pace.pay(0, 50, clock.wait)
    assert clock.now - 1000.0 == seconds


def test_of_two_rates_the_slower_holds() -> None:
    clock = Clock()
    pace = Pace(4, 100, clock)
    for _ in range(10):
        pace.pay(1, 50, clock.wait)
    assert clock.now - 1000.0 == 5.0


def test_who_pays_while_others_wait_comes_after_them() -> None:
    clock, waits = Clock(), []
    pace = Pace(2, 0, clock)
    for _ in range(4):  # threads that all come at once
        pace.pay(1, 0, waits.append)
    assert waits == [0.5, 1.0, 1.5, 2.0]


def test_an_idle_time_is_not_saved_up() -> None:
    clock = Clock()
    pace = Pace(1, 0, clock)
    pace.pay(1, 0, clock.wait)
    clock.now += 100
    begun = clock.now
    pace.pay(3, 0, clock.wait)
    assert clock.now - begun == 3


def test_a_batch_at_a_rate_is_so_small_that_a_worker_is_free_again_soon() -> None:
    assert (Rate().batch_files, Rate().batch_bytes, Rate().is_limited) == (MEMBERS, BATCH_BYTES, False)
    assert (Rate(files=5).batch_files, Rate(files=1e6).batch_files, Rate(files=0.01).batch_files) == (50, MEMBERS, 1)
    assert (Rate(bytes=1000).batch_bytes, Rate(bytes=1e12).batch_bytes) == (10_000, BATCH_BYTES)
    assert Rate(bytes=1).is_limited


@pytest.mark.parametrize(
    ("text", "number"), [("500000", 500_000), ("500k", 500_000), ("20M", 20_000_000), ("1.5 GB", 1.5e9), ("2Ki", 2048)]
)
def test_sizes_are_written_as_people_write_them(text: str, number: float) -> None:
    assert size(text) == number


@pytest.mark.parametrize("text", ["", "fast", "-5", "5 T", "1e6", "k"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="20M"):
        size(text)


def member(number: int, length: int) -> Member:
    return Member(f"{number:032x}", "file", "file/lab", f"/{number}", "r", length)


def test_what_waits_in_memory_together_is_bounded() -> None:
    for lengths in ([10] * 1000, [IN_MEMORY - 1] * 50, [-1] * 50, [10**12] * 50, [0, 10**12, 0]):
        members = [member(number, length) for number, length in enumerate(lengths)]
        portions = list(_portions(members))
        assert [one for portion in portions for one in portion] == members
        for portion in portions:
            held = sum(IN_MEMORY if one.size < 0 else min(one.size, IN_MEMORY) for one in portion)
            assert len(portion) <= PORTION_FILES
            assert held <= max(PORTION_BYTES, IN_MEMORY)


@pytest.mark.parametrize("few", [0, 55, 100, 1000])
def test_files_are_met_once(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_files, "FEW", few)
    ids = [identity("file", str(number)) for number in range(100)]
    with Seen() as seen:
        assert seen.add(dict.fromkeys(ids[:50], "x")) == dict.fromkeys(ids[:50], "x")
        assert list(seen.add(dict.fromkeys(ids[40:60], "x"))) == ids[50:60]
        assert seen.missing(sorted(ids)) == set(ids[60:])
        assert seen.missing(sorted(ids)[20:40]) == set(sorted(ids)[20:40]) - set(ids[:60])
        assert seen.missing([]) == set()


def test_elsewhere_than_on_a_terminal_progress_is_plain_lines() -> None:
    stream = StringIO()
    lines = adopt_progress_on(stream)
    assert isinstance(lines, Lines)
    lines.looked(1000, 5)
    lines.looked(1234, 5_000_000)
    lines.taken(0, 1234)
    lines.taken(1234, 1234)
    lines.close()
    told = stream.getvalue().splitlines()
    assert told[0] == "adopt: 1,000 files found, 5 bytes"
    assert "adopt: 1,234 files found, 5,000,000 bytes" in told
    assert told[-1] == "adopt: 1,234 of 1,234 files taken in"
    assert len(told) == len(set(told))


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_progress_is_a_bar() -> None:
    stream = Terminal()
    bars = adopt_progress_on(stream)
    assert isinstance(bars, Bars)
    bars.looked(5, 10)
    bars.taken(3, 5)
    bars.close()
    assert "found" in stream.getvalue()
    assert "3/5" in stream.getvalue()
