"""What the page for engineers asks: queues, failures, how fresh all is, sources and storage."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from string import Template

import pandas as pd

from dashboard.queries.rows import rows
from data_platform.redact import redact_text
from data_platform.settings import Settings
from populate.adoption.tables import Adoption
from populate.snapshot import Snapshot
from populate.watch.status import left_to_do, needs, queue_states
from schemas.binding import Binding
from schemas.sharing import Access, AccessBatch

HOURS = 48
DAYS = 7

_STATEMENTS = {
    "last": "SELECT MAX(delivered_at) AS delivered_at FROM $AccessBatch",
    "deliveries": "SELECT delivered_at, delivered_from, access_count FROM $AccessBatch"
    " WHERE delivered_at >= %(since)s ORDER BY delivered_at",
    "lag": """
        SELECT MAX(b.delivered_at) AS delivered_at, MIN(a.accessed_at) AS accessed_at
        FROM $AccessBatch b JOIN $Access a ON a.batch_id = b.batch_id
        WHERE b.delivered_at = (SELECT MAX(delivered_at) FROM $AccessBatch)
    """,
    "sources": """
        SELECT source_system, MAX(source_kind) AS source_kind,
               SUM(CASE WHEN outcome = 'ok' THEN 1 ELSE 0 END) AS read_count,
               SUM(CASE WHEN outcome <> 'ok' THEN 1 ELSE 0 END) AS failures,
               MAX(CASE WHEN outcome = 'ok' THEN accessed_at END) AS last_read,
               MAX(CASE WHEN outcome <> 'ok' THEN accessed_at END) AS last_failure
        FROM $Access WHERE accessed_at >= %(since)s AND source_system <> ''
        GROUP BY source_system ORDER BY failures DESC, read_count DESC
    """,
    "complaints": """
        SELECT source_system, outcome, MAX(message) AS message, COUNT(*) AS failures, MAX(accessed_at) AS last_failure
        FROM $Access WHERE accessed_at >= %(since)s AND outcome <> 'ok'
        GROUP BY source_system, outcome ORDER BY failures DESC LIMIT 200
    """,
}


@dataclass(frozen=True, slots=True)
class Health:
    """How the platform is; ``numbers`` as in `populate.watch.status.left_to_do`, moments in UTC.

    Attributes
    ----------
    lag
        From the oldest read of the newest delivery to that delivery; None if nothing was delivered.
    """

    numbers: dict[str, int]
    delivered_at: datetime | None
    lag: timedelta | None
    queues: pd.DataFrame
    needs: pd.DataFrame


def health(binding: Binding, settings: Settings) -> Health:
    """Return how the platform is, as of now."""
    binding.ensure()
    fresh = rows(binding, _filled("lag"), {}).to_dict("records")[0]
    told = not pd.isna(fresh["delivered_at"]) and not pd.isna(fresh["accessed_at"])
    states = pd.DataFrame(
        [(one.table, one.waiting, one.in_hand, one.failed, one.stuck, one.oldest_seconds) for one in queue_states()],
        columns=["queue", "waiting", "in_hand", "failed", "stuck", "oldest_seconds"],
    )
    return Health(
        numbers=left_to_do(binding, settings),
        delivered_at=pd.Timestamp(fresh["delivered_at"]).to_pydatetime() if told else None,
        lag=pd.Timestamp(fresh["delivered_at"]) - pd.Timestamp(fresh["accessed_at"]) if told else None,
        queues=states,
        needs=_needs(binding),
    )


def deliveries(binding: Binding) -> pd.DataFrame:
    """Return the reads that were delivered in the last `HOURS`: ``hour, delivered_from, reads``."""
    found = rows(binding, _filled("deliveries"), {"since": _now() - timedelta(hours=HOURS)})
    found["hour"] = pd.to_datetime(found["delivered_at"]).dt.floor("h")
    return found.groupby(["hour", "delivered_from"]).agg(reads=("access_count", "sum")).reset_index()


def sources(binding: Binding) -> pd.DataFrame:
    """Return how reads went in the last `DAYS`, for each source system: those with most failures first."""
    found = rows(binding, _filled("sources"), {"since": _now() - timedelta(days=DAYS)})
    found[["read_count", "failures"]] = found[["read_count", "failures"]].astype(int)
    return found.rename(columns={"read_count": "reads"})


def complaints(binding: Binding) -> pd.DataFrame:
    """Return why reads failed in the last `DAYS`."""
    return rows(binding, _filled("complaints"), {"since": _now() - timedelta(days=DAYS)})


def growth(binding: Binding) -> pd.DataFrame:
    """Return bytes as people see them and as they are kept, by ``day`` of each snapshot with figures."""
    binding.ensure()
    found = (Adoption() * Snapshot.proj("snapshot_day")).to_dicts()
    held = [(row["snapshot_day"], int(row["bytes_logical"]), int(row["bytes_distinct"])) for row in found]
    frame = pd.DataFrame(held, columns=["day", "logical", "distinct"])
    return frame.sort_values(["day", "logical"]).drop_duplicates("day", keep="last")


def _needs(binding: Binding) -> pd.DataFrame:
    found = [
        (
            need.since,
            need.what,
            redact_text(need.reason),
            need.tries,
            ", ".join(f"{k} {v}" for k, v in need.key.items()),
        )
        for need in needs(binding)
    ]
    return pd.DataFrame(found, columns=["since", "what", "reason", "tries", "which"])


def _filled(name: str) -> str:
    return Template(_STATEMENTS[name]).substitute(
        {table.__name__: table().full_table_name for table in (Access, AccessBatch)}
    )


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
