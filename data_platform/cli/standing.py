"""Where the catalogue stands: `status`, once or again and again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from dashboard.display import human_bytes
from data_platform.cli.output import json_option, pairs, print_json, printable, table
from data_platform.cli.watching import watch
from populate.watch.seldom import Answer, Seldom

if TYPE_CHECKING:
    from populate.watch.status import Need
    from populate.work.queue import State

SIZES = ("blob_bytes", "logical_bytes", "stored_bytes", "proven_bytes")
OLD_SECONDS = 10.0  # before the time of a sum is shown
SHOWN = 20  # of what needs a person
SHORT = (
    *("batches_pending", "backups_pending", "backups_elsewhere", "jobs_failed", "needs_person", "contents_damaged"),
    *("workers", "schedulers", "outbox_pending"),
)


@click.command()
@click.option("--watch", "watching", is_flag=True, help="Show it again and again until Ctrl-C.")
@click.option(
    "--interval", default=2.0, show_default=True, type=click.FloatRange(0.1), help="Seconds from one to the next."
)
@click.option("--exact", is_flag=True, help="Count what is held now, even if the scheduler has counted it lately.")
@json_option
def status(watching: bool, interval: float, exact: bool, as_json: bool) -> None:
    """Print how much is catalogued, backed up and still waiting, and what needs a person.

    What is left to do is told as of now. What is held takes the longer to count the more it is:
    where it takes long the scheduler counts it now and then, and --exact counts anew. With --watch
    it is redrawn on a terminal; elsewhere there is a line each time.

    \b
    Example:
        data-platform status --json
        data-platform status --watch
    """
    sums = Seldom(partial(_sums, exact))
    if watching:
        watch(lambda: _page(sums), _json_line if as_json else _line, interval)
    elif as_json:
        print_json(_all(exact))
    else:
        for line in _page(sums):
            click.echo(line)


def _sums(exact: bool) -> Answer[dict[str, int]]:
    from data_platform.settings import settings
    from populate.pipeline import bind_all
    from populate.watch.tally import known_totals
    from populate.watch.totals import totals

    binding = bind_all(settings())
    return Answer(totals(binding), datetime.now(UTC)) if exact else known_totals(binding)


def _to_restore(held: Mapping[str, int]) -> int:
    from data_platform.settings import settings
    from populate.pipeline import bind_all
    from populate.watch.status import to_restore

    return to_restore(bind_all(settings()), held)


def _left_to_do() -> dict[str, int]:
    from data_platform.settings import settings
    from populate.pipeline import bind_all
    from populate.watch.status import left_to_do

    return left_to_do(bind_all(settings()), settings())


def _elsewhere() -> dict[str, int]:
    from data_platform.settings import settings
    from populate.pipeline import bind_all
    from populate.watch.status import waiting_elsewhere

    return waiting_elsewhere(bind_all(settings()))


def _queues(needing: int) -> tuple[list[State], list[Need]]:
    from data_platform.settings import settings
    from populate.pipeline import bind_all
    from populate.watch.status import needs, queue_states

    return queue_states(), needs(bind_all(settings())) if needing else []


def _all(exact: bool) -> dict[str, Any]:
    held = _sums(exact)
    counts = {**held.value, **_left_to_do()}
    states, stuck = _queues(counts["needs_person"])
    return {
        **counts,
        "restore_seconds": _to_restore(held.value),
        "counted_at": held.at.isoformat(timespec="seconds"),
        "elsewhere": _elsewhere() if counts["backups_elsewhere"] else {},
        "queues": [state._asdict() for state in states],
        "needing_a_person": [need._asdict() for need in stuck],
    }


def _page(sums: Seldom[Answer[dict[str, int]]]) -> Sequence[str]:
    """Return the page with what changes at the top, for what does not fit on a terminal is not seen."""
    known, left = sums.latest().value, _left_to_do()
    states, stuck = _queues(left["needs_person"])
    rows = [
        (s.table, f"{s.waiting:,}", f"{s.in_hand:,}", f"{s.failed:,}", f"{s.stuck:,}", _span(s.oldest_seconds))
        for s in states
    ]
    header = ("queue", "waiting", "in hand", "failed", "needs a person", "oldest waits")
    away = _elsewhere() if left["backups_elsewhere"] else {}
    queues = [*table(header, rows), *_waiting(away), *_needing(stuck)]
    held = {name: human_bytes(n) if name in SIZES else n for name, n in known.value.items()}
    if (seconds := _to_restore(known.value)) >= 0:
        held["to restore all"] = f"about {_span(seconds)}, by how fast one process read back lately"
    return [*pairs(left), "", *queues, "", *pairs(held), *_as_of(known.at)]


def _as_of(moment: datetime) -> Iterator[str]:
    if (datetime.now(UTC) - moment).total_seconds() >= OLD_SECONDS:
        yield f"What is held was counted at {moment:%H:%M:%S} UTC."


def _waiting(away: Mapping[str, int]) -> Iterator[str]:
    if away:
        yield from ("", "Versions that wait for a worker which sees their disk or share:")
    for system, versions in away.items():
        yield f"  {printable(system)}: {versions:,}"


def _needing(stuck: Sequence[Need]) -> Iterator[str]:
    if stuck:
        yield from ("", "These need a person; once the cause is mended: data-platform retry")
    for need in stuck[:SHOWN]:
        key, reason = ", ".join(map(str, need.key.values())), " ".join(need.reason.split())
        yield f"  {need.what} {key}: {reason} ({need.tries} tries, {need.since:%Y-%m-%d %H:%M} UTC)"
    if len(stuck) > SHOWN:
        yield f"  … and {len(stuck) - SHOWN:,} more; --json lists all."


def _line() -> str:
    counts = _left_to_do()
    return f"{_now()} " + " ".join(f"{name}={counts[name]}" for name in SHORT)


def _json_line() -> str:
    return json.dumps({"time": _now(), **_all(exact=False)}, default=str, ensure_ascii=False)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _span(seconds: float) -> str:
    """Return a time in the largest unit that it fills."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
