"""When a version is tried again, and what is kept of an error."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from data_platform.errors import AccessDenied, SourceUnavailable, StoreFull, VersionUnavailable
from populate.backup.contents import Failure
from populate.work.retries import ATTEMPTS, DELAYS, Unresolved, is_due

NOW = datetime(2026, 5, 4, 12)


def failed(attempt: int, ago: timedelta, permanent: bool = False, failure: str = "SourceUnavailable") -> Unresolved:
    return Unresolved("b" * 32, 0, attempt, "f" * 32, "v" * 32, permanent, failure, NOW - ago, attempt)


def test_the_delay_grows_with_each_attempt() -> None:
    waited = [next(m for m in range(100_000) if is_due(failed(n, timedelta(minutes=m)), NOW)) for n in range(1, 6)]
    assert waited == [1, 5, 30, 120, 720]


def test_after_the_last_attempt_a_person_is_needed() -> None:
    assert len(DELAYS) + 1 == ATTEMPTS
    assert not is_due(failed(ATTEMPTS, timedelta(days=365)), NOW)


def test_what_cannot_help_is_not_tried() -> None:
    assert not is_due(failed(1, timedelta(days=365), permanent=True), NOW)


@pytest.mark.parametrize("failure", ["StoreFull", "StoreUnavailable", "SourceElsewhere"])
def test_a_store_and_a_share_are_waited_for_as_long_as_it_takes(failure: str) -> None:
    assert is_due(failed(100, timedelta(hours=12), failure=failure), NOW)
    assert not is_due(failed(100, timedelta(hours=11), failure=failure), NOW)


@pytest.mark.parametrize(
    ("error", "permanent"),
    [
        (AccessDenied("x"), True),
        (VersionUnavailable("x"), True),
        (SourceUnavailable("x"), False),
        (StoreFull("x"), False),
        (RuntimeError("x"), False),
    ],
)
def test_what_is_permanent_follows_from_the_error(error: Exception, permanent: bool) -> None:
    assert Failure.of(error) == Failure(permanent, type(error).__name__, "x")


def test_what_is_kept_of_an_error_fits_and_tells_no_secret() -> None:
    error = SourceUnavailable("https://host/x?sig=hunter2 \x00 \udcff " + "ä" * 2000)
    kept = Failure.of(error)
    assert "hunter2" not in kept.message
    assert "\x00" not in kept.message
    assert len(kept.message) == 512
    kept.message.encode()
