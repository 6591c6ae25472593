"""Contents on disks and shares that not every worker sees: their backups are left to those that do.

Whoever tries one that is elsewhere finds that out, and notes it as a failure. The next attempt
is a batch of such versions alone, and no worker takes one up whose files it does not see.
"""

from __future__ import annotations

from typing import Any

from data_platform.errors import SourceElsewhere, SourceError
from data_platform.settings import Settings
from populate.ingest import BackupMember
from readers.registry import source_of_kind
from schemas.catalogue import File, SourceSystem

ELSEWHERE = SourceElsewhere.__name__
"""Name of the failure."""

# Of each batch that waits, and each source system, the first and last of the items that were elsewhere before.
_WAITING = """
SELECT j.batch_id, j.part, j.attempt, s.source_kind, s.source_system, MIN(f.item_id), MAX(f.item_id)
FROM {jobs} AS j
JOIN {member} AS m ON m.batch_id = j.batch_id AND m.part = j.part AND m.attempt = j.attempt
JOIN {failure} AS x ON x.batch_id = m.batch_id AND x.part = m.part AND x.attempt < m.attempt
    AND x.file_id = m.file_id AND x.version_id = m.version_id
JOIN {file} AS f ON f.file_id = m.file_id
JOIN {system} AS s ON s.source_system = f.source_system
WHERE j.status = 'pending' AND j.attempt > 1 AND x.failure = '{elsewhere}'
GROUP BY j.batch_id, j.part, j.attempt, s.source_kind, s.source_system
"""


def out_of_sight(backup: Any, failure: Any, settings: Settings) -> list[dict[str, Any]]:
    """Return the keys of batches that wait and hold no file that this machine sees.

    Parameters
    ----------
    backup
        An instance of `populate.backup.tables.Backup`, for its jobs.
    failure
        The table `populate.backup.tables.BackupFailure`.
    settings
        Of the worker that looks.
    """
    tables = {"member": BackupMember, "failure": failure, "file": File, "system": SourceSystem}
    names = {name: table().full_table_name for name, table in tables.items()}
    statement = _WAITING.format(jobs=backup.jobs.full_table_name, elsewhere=ELSEWHERE, **names)
    seen: dict[tuple[str, str, str], bool] = {}
    batches: dict[tuple[str, int, int], bool] = {}
    for batch_id, part, attempt, kind, system, *items in backup.connection.query(statement).fetchall():
        for item in items:
            if (kind, system, item) not in seen:
                seen[kind, system, item] = _sees(settings, kind, system, item)
        here = any(seen[kind, system, item] for item in items)
        batches[batch_id, part, attempt] = batches.get((batch_id, part, attempt), False) or here
    return [dict(zip(("batch_id", "part", "attempt"), key, strict=True)) for key, here in batches.items() if not here]


def _sees(settings: Settings, kind: str, system: str, item: str) -> bool:
    try:
        source_of_kind(kind, settings).reopen(system, item)
    except SourceElsewhere:
        return False
    except (SourceError, NotImplementedError):
        pass  # it is here, whatever is the matter with the file
    return True
