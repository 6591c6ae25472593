"""Counts of several processes, added up from their files."""

from __future__ import annotations

import struct
import threading
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from populate.watch import metrics
from populate.watch.metrics import registry_of


def test_a_file_that_is_being_made_is_read_a_little_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "LOOKS", 1000)
    file = tmp_path / "counter_1.db"
    file.touch()
    registry = registry_of(tmp_path)
    made = threading.Timer(0.1, lambda: file.write_bytes(struct.pack("i", 8) + bytes(100)))
    made.start()
    try:
        assert generate_latest(registry) == b""
    finally:
        made.join()


def test_a_file_that_stays_empty_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "LOOKS", 1)
    (tmp_path / "counter_1.db").touch()
    with pytest.raises(struct.error):
        generate_latest(registry_of(tmp_path))
