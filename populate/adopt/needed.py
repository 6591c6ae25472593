"""The tables that adopting needs: a process that adopts need not learn of the others, nor import their modules."""

from __future__ import annotations

from data_platform.settings import Settings
from populate import ingest, releases
from populate.adopt import tables as adopt
from populate.backup import erased, removal
from populate.backup import tables as backup
from schemas.binding import CORE, Binding, Schemas

NEEDED: Schemas = (
    *CORE,
    ("ingest", ingest.schema),
    ("erased", erased.schema),
    ("backup", backup.schema),
    ("removal", removal.schema),
    ("adopt", adopt.schema),
)


def bind_needed(settings: Settings) -> Binding:
    """Connect this process to these tables; where they are of another release to all, which are made or migrated.

    Raises
    ------
    DatabaseUnavailable
        If no connection can be had.
    NotDeployed
        If tables are missing.
    SchemaMismatch
        If the tables are those of another release.
    """
    if (binding := releases.bind_if_current(settings, NEEDED)) is not None:
        return binding
    from populate.pipeline import bind_all  # all tables, for once

    return bind_all(settings)
