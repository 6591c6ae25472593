"""How many files have a value, as people are told it: estimates are called so."""

from __future__ import annotations

from dataclasses import replace

from data_platform.cli.searching import _divided
from populate.search.searching import Results


def test_estimates_are_called_so_and_tell_nothing_of_what_they_lack() -> None:
    exact = Results(1632, [], {"kind": [("csv", 1616), ("txt", 16)]}, "")
    about = replace(exact, estimated=True)
    assert [one.many for one in (exact, about, replace(exact, total=1))] == [
        "1,632 files",
        "about 1,632 files",
        "1 file",
    ]
    assert [exact.counted(count) for count in (1616, 0)] == ["1,616", "0"]
    assert [about.counted(count) for count in (1616, 0)] == ["about 1,616", ""]
    assert _divided(exact) == ": 1,616 csv, 16 txt"
    assert _divided(about) == ": about 1,616 csv, about 16 txt"
