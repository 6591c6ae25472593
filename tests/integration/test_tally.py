"""Where counting takes long the scheduler counts for all; who asks gets that for a while, and counts again after it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from datajoint.heading import Heading
from waiting import wait_until

from dashboard.queries.files import headline, headline_beside
from data_platform.errors import DatabaseUnavailable
from populate.watch.seldom import Answer
from populate.watch.session import Watch
from populate.watch.tally import LEAST_SECONDS, Tally, Tallying, known_totals, latest_tally, pause_after
from populate.watch.totals import totals
from schemas.binding import Binding
from schemas.people import Person


def counted(counting: Tallying) -> None:
    """Let it count, to the end."""
    counting.tend()
    wait_until(lambda: not counting.is_under_way)
    counting.tend()


def test_what_was_counted_is_told_for_a_while_and_then_counted_again(binding: Binding) -> None:
    def latest(now: datetime | None = None) -> Answer[dict[str, int]] | None:
        return latest_tally(lambda statement: list(binding.connection.query(statement).fetchall()), now)

    def person(number: int) -> None:
        Person.insert1({"person_id": f"{number:032x}", "full_name": "Amy", "person_kind": "person"})

    clock = [0.0]
    quick = Tallying(binding, worth=3600.0)
    counted(quick)
    quick.end()
    assert len(Tally()) == 0  # in a moment: whoever asks counts
    person(1)
    assert (known_totals(binding).value["people"], headline(binding)["people"]) == (1, 1)
    assert "counted_at" not in headline(binding)

    counting = Tallying(binding, clock=lambda: clock[0], worth=0.0)
    counted(counting)
    found = latest()
    assert found is not None
    assert set(found.value) == {*totals(binding), "kept_bytes"}
    assert {name: found.value[name] for name in totals(binding)} == totals(binding)
    person(2)
    assert (known_totals(binding).value["people"], headline(binding)["people"]) == (1, 1)
    assert headline(binding)["counted_at"] == int(found.at.timestamp())
    counted(counting)
    assert len(Tally()) == 1  # it is not time yet
    clock[0] += LEAST_SECONDS + 1
    counted(counting)
    assert known_totals(binding).value["people"] == 2

    far = datetime.now(UTC) + timedelta(seconds=3 * pause_after(float(max(Tally.to_arrays("tally_seconds")))))
    assert latest(far) is None  # nobody counts any more
    counting.end()
    clock[0] += LEAST_SECONDS * 1000
    counting.tend()
    assert not counting.is_under_way


def test_who_counts_beside_others_uses_their_connection_neither_now_nor_later(
    binding: Binding, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = headline_beside(binding)

    def queried(*_: object, **__: object) -> None:
        raise AssertionError("the connection of others was used")

    with monkeypatch.context() as patch:
        patch.setattr(Tally, "_heading", Heading(table_info=Tally().heading.table_info))  # as in a new process
        patch.setattr(type(binding.connection), "query", queried)
        assert ask()["people"] == 0

    watch = Watch(binding)
    assert watch.ask("SELECT 1") == [(1,)]
    watch.close()
    with pytest.raises(DatabaseUnavailable, match="Nobody looks"):
        watch.ask("SELECT 1")  # whose turn came only now


def test_the_pause_grows_with_what_counting_takes() -> None:
    assert pause_after(2.0) == LEAST_SECONDS
    assert pause_after(100.0) == 2000.0
