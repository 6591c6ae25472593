"""Where the catalogue stands: `status`, once or again and again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from dashboard.display import human_bytes
from data_platform.cli.output import json_option, pairs, print_json, table
from data_platform.cli.watching import watch

if TYPE_CHECKING:
    from populate.jobs import State
    from populate.status import Need

SIZES = ("blob_bytes", "logical_bytes", "stored_bytes", "proven_bytes")
SHOWN = 20  # of what needs a person
SHORT = (
    *("batches_pending", "backups_pending", "jobs_failed", "needs_person", "contents_damaged"),
    *("workers", "schedulers", "outbox_pending"),
)


@click.command()
@click.option("--watch", "watching", is_flag=True, help="Show it again and again until Ctrl-C.")
@click.option(
    "--interval", default=2.0, show_default=True, type=click.FloatRange(0.1), help="Seconds from one to the next."
)
@json_option
def status(watching: bool, interval: float, as_json: bool) -> None:
    """Print how much is catalogued, backed up and still waiting, and what needs a person.

    With --watch it is redrawn on a terminal; elsewhere there is a line each time.

    \b
    Example:
        data-platform status --json
        data-platform status --watch
    """
    if watching:
        watch(_page, _json_line if as_json else _line, interval)
    elif as_json:
        print_json(_all())
    else:
        for line in _page():
            click.echo(line)


def _asked() -> tuple[dict[str, int], list[State], list[Need]]:
    from data_platform import face
    from data_platform.settings import settings
    from populate.pipeline import bind_all
    from populate.status import needs, queue_states

    counts = face.status()
    return counts, queue_states(), needs(bind_all(settings())) if counts["needs_person"] else []


def _all() -> dict[str, Any]:
    counts, states, stuck = _asked()
    return {
        **counts,
        "queues": [state._asdict() for state in states],
        "needing_a_person": [need._asdict() for need in stuck],
    }


def _page() -> Sequence[str]:
    counts, states, stuck = _asked()
    shown = pairs({name: human_bytes(n) if name in SIZES else n for name, n in counts.items()})
    rows = [
        (s.table, f"{s.waiting:,}", f"{s.in_hand:,}", f"{s.failed:,}", f"{s.stuck:,}", _span(s.oldest_seconds))
        for s in states
    ]
    header = ("queue", "waiting", "in hand", "failed", "needs a person", "oldest waits")
    return [*shown, "", *table(header, rows), *_needing(stuck)]


def _needing(stuck: Sequence[Need]) -> Iterator[str]:
    if stuck:
        yield from ("", "These need a person; once the cause is mended: data-platform retry")
    for need in stuck[:SHOWN]:
        key, reason = ", ".join(map(str, need.key.values())), " ".join(need.reason.split())
        yield f"  {need.what} {key}: {reason} ({need.tries} tries, {need.since:%Y-%m-%d %H:%M} UTC)"
    if len(stuck) > SHOWN:
        yield f"  … and {len(stuck) - SHOWN:,} more; --json lists all."


def _line() -> str:
    from data_platform import face

    counts = face.status()
    return f"{_now()} " + " ".join(f"{name}={counts[name]}" for name in SHORT)


def _json_line() -> str:
    return json.dumps({"time": _now(), **_all()}, default=str, ensure_ascii=False)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _span(seconds: float) -> str:
    """Return a time in the largest unit that it fills."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
