"""Bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io

import pytest

from populate.watch import progress
from populate.watch.progress import Bars, Lines, progress_on


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_bars() -> None:
    stream = Terminal()
    shown = progress_on(stream)
    assert isinstance(shown, Bars)
    shown.show(lambda: {"ingest": (1, 4), "backup": (0, 0)})
    shown.show(lambda: {"ingest": (2, 5), "backup": (1, 2)})
    shown.close(lambda: {"ingest": (5, 5), "backup": (2, 2)})
    assert "ingest" in stream.getvalue()
    assert "5/5" in stream.getvalue()
    assert "2/2" in stream.getvalue()


def test_elsewhere_there_are_lines_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    shown = progress_on(stream)
    assert isinstance(shown, Lines)
    shown.show(lambda: {"ingest": (0, 4)})
    shown.show(lambda: pytest.fail("too soon for another line"))
    monkeypatch.setattr(progress.time, "monotonic", lambda: 1e9)
    shown.show(lambda: {"ingest": (2, 4)})
    shown.close(lambda: {"ingest": (4, 4)})
    shown.close(lambda: {"ingest": (4, 4)})
    assert stream.getvalue().splitlines() == [f"worker: ingest {done} of 4 batches" for done in (0, 2, 4)]
