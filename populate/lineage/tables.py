"""What a backend was told. A delivery without a row here is told in the next round: so nothing is lost in an outage."""

from __future__ import annotations

from populate.ingest import Ingest  # noqa: F401  (definitions refer to it)
from schemas.engine import dj

schema = dj.Schema()


@schema
class LineageSent(dj.Manual):
    definition = """
    # An OpenLineage backend took the events of a delivery; those of one without a row may have arrived as well
    -> Ingest
    ---
    lineage_event_count : int32
    lineage_sent_at : datetime(6) # UTC
    """


@schema
class LineageFailed(dj.Manual):
    definition = """
    # It failed at the events of a delivery, and took those of another one: it is asked ever less often to take them
    -> Ingest
    lineage_failed_at : datetime(6) # UTC
    ---
    lineage_failed_status : int16 # of its answer
    """


@schema
class LineageRefused(dj.Manual):
    definition = """
    # It does not want the events of a delivery, which are not sent again
    -> Ingest
    ---
    lineage_status : int16 # of its answer
    lineage_refused_at : datetime(6) # UTC
    """
