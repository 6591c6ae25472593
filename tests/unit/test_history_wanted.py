"""What users may write for a version or a moment, and what they are told otherwise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from data_platform.errors import VersionUnavailable
from data_platform.history import Wanted

HEX = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


@pytest.mark.parametrize("version", [f"sha256:{HEX}", f" SHA256:{HEX.upper()} ", f"sha256:{HEX[:8]}"])
def test_a_version_is_a_hash_or_the_beginning_of_one(version: str) -> None:
    wanted = Wanted.parse(version, None)
    assert wanted.moment is None
    assert HEX.startswith(wanted.prefix)
    assert len(wanted.prefix) >= 8


@pytest.mark.parametrize(
    "version",
    ["", HEX, "sha256:", "sha256:9f86d08", f"sha256:{HEX}0", "md5:9f86d081", "sha256:xyzxyzxyz", "sha256:%%%%%%%%"],
)
def test_what_is_not_a_version_is_refused_with_the_way_to_write_it(version: str) -> None:
    with pytest.raises(VersionUnavailable, match="sha256:"):
        Wanted.parse(version, None)


@pytest.mark.parametrize(
    ("as_of", "moment"),
    [
        ("2026-05-01", datetime(2026, 5, 1)),
        (" 2026-05-01T12:30 ", datetime(2026, 5, 1, 12, 30)),
        ("2026-05-01T12:30:15.25+02:00", datetime(2026, 5, 1, 10, 30, 15, 250_000)),
        ("2026-05-01T12:30Z", datetime(2026, 5, 1, 12, 30)),
        (datetime(2026, 5, 1, 12), datetime(2026, 5, 1, 12)),
        (datetime(2026, 5, 1, 12, tzinfo=UTC), datetime(2026, 5, 1, 12)),
        (datetime(2026, 5, 1, 12, tzinfo=timezone(timedelta(hours=-5))), datetime(2026, 5, 1, 17)),
    ],
)
def test_a_moment_is_utc_unless_it_says_otherwise(as_of: datetime | str, moment: datetime) -> None:
    assert Wanted.parse(None, as_of) == ("", moment)


@pytest.mark.parametrize("as_of", ["", "yesterday", "2026-13-01", 20260501])
def test_what_is_not_a_moment_is_refused_with_the_way_to_write_it(as_of: str) -> None:
    with pytest.raises(VersionUnavailable, match="2026-05-01T12:00"):
        Wanted.parse(None, as_of)


def test_both_at_once_are_refused() -> None:
    with pytest.raises(VersionUnavailable, match="one of them"):
        Wanted.parse(f"sha256:{HEX}", "2026-05-01")
