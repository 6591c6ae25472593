"""A small catalogue that real reads have made."""

from __future__ import annotations

from pathlib import Path

import pytest
from colleagues import Colleagues


def with_a_trial(shares: Path, monkeypatch: pytest.MonkeyPatch) -> Colleagues:
    """Return colleagues, of whom Aiko has read two versions of a trial, and Chen's copy of it; all is backed up."""
    people = Colleagues(shares, monkeypatch)
    people.put("maria/trial.csv", b"first")
    people.put("chen/copy.csv", b"first")
    people.read("aiko", "maria/trial.csv")
    people.read("aiko", "chen/copy.csv")
    people.put("maria/trial.csv", b"second")
    people.read("aiko", "maria/trial.csv")
    people.work()
    return people
