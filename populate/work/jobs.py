"""The queues of all computed tables, in the order in which one feeds the next; see `populate.work.queue`."""

from __future__ import annotations

from typing import Any

from data_platform.settings import Settings
from populate.adopt.tables import Adopt
from populate.adoption.tables import Adoption
from populate.backup.replica import Replica
from populate.backup.tables import Backup
from populate.backup.verification import Verify
from populate.describe.tables import Description
from populate.duplicates.tables import Canonical, CanonicalAdopted, DuplicateSet
from populate.ingest import Ingest
from populate.profile.tables import Profile, ProfileAdopted
from populate.search.tables import Document, DocumentAdopted, DocumentDescribed, DocumentProfiled
from populate.sharing.history import History
from populate.silo import SiloMetric
from populate.watch.observing import Observer
from populate.work.queue import Queue, Urgency

DOCUMENTS = (Document, DocumentProfiled, DocumentDescribed, DocumentAdopted)
"""Tables whose rows say that files were described for search."""

PER_SNAPSHOT: tuple[Any, ...] = (SiloMetric, DuplicateSet, Adoption)
"""Computed tables with rows for each `Snapshot`: one that is named here is computed for every day's."""


def queues(settings: Settings | None = None, observer: Observer | None = None) -> tuple[Queue, ...]:
    """Return the queues in the order in which one feeds the next. A further table is a further line here.

    Parameters
    ----------
    settings
        What backups go by; those of the process unless given.
    observer
        Is told of each job that this process makes.
    """
    backup, adopt, history = Backup(), Adopt(), History()
    contents, verify, replica = (Canonical(), CanonicalAdopted(), Profile(), ProfileAdopted()), Verify(), Replica()
    for table in (backup, adopt, history, *contents, verify, replica):
        table.settings = settings
    return (
        Queue(Ingest(), Urgency.FRESH, calls=20, observer=observer),
        Queue(backup, Urgency.FRESH, calls=2, observer=observer),  # each may take minutes
        Queue(adopt, Urgency.BACK_FILL, observer=observer),
        Queue(history, Urgency.BACK_FILL, observer=observer),
        *(Queue(table, Urgency.INSIGHT, observer=observer) for table in contents),
        *(Queue(table(), Urgency.INSIGHT, observer=observer) for table in (Description, *DOCUMENTS, *PER_SNAPSHOT)),
        Queue(replica, Urgency.BACK_FILL, observer=observer),
        Queue(verify, Urgency.PROOF, observer=observer),
    )


def work(queues: tuple[Queue, ...]) -> int:
    """Work off some jobs of the most urgent queues that have any; return how many were tried."""
    for urgency in Urgency:
        if done := sum(queue.run() for queue in queues if queue.urgency == urgency):
            return done
    return 0
