"""All tables, bound to the database in the order in which they depend on each other."""

from __future__ import annotations

from data_platform.settings import Settings
from populate import ingest, releases, silo, snapshot, staff
from populate.adopt import tables as adopt_tables
from populate.adoption import tables as adoption
from populate.backup import erased, removal, replica, verification
from populate.backup import tables as backup
from populate.conversation import questions
from populate.describe import tables as describe
from populate.duplicates import tables as duplicates
from populate.lineage import tables as lineage
from populate.notes import tables as telling
from populate.profile import tables as profile
from populate.recall import tables as recalled
from populate.retention import tables as retention
from populate.search import tables as search
from populate.search.server_tables import deploy_index
from populate.sharing import history
from populate.watch import tally
from schemas import asking, code, conversation, directory, entered, following, notes, output, recall, survey
from schemas.binding import CORE, Binding, Schemas, bind

SCHEMAS: Schemas = (
    *releases.RELEASES,
    *CORE,
    ("output", output.schema),
    ("code", code.schema),
    ("following", following.schema),
    ("directory", directory.schema),
    ("asking", asking.schema),
    ("survey", survey.schema),
    ("conversation", conversation.schema),
    ("entered", entered.schema),
    ("ingest", ingest.schema),
    ("erased", erased.schema),
    ("backup", backup.schema),
    ("removal", removal.schema),
    ("history", history.schema),
    ("verification", verification.schema),
    ("replica", replica.schema),
    ("adopt", adopt_tables.schema),
    ("snapshot", snapshot.schema),
    ("staff", staff.schema),
    ("silo", silo.schema),
    ("adoption", adoption.schema),
    ("duplicates", duplicates.schema),
    ("profile", profile.schema),
    ("describe", describe.schema),
    ("search", search.schema),
    ("questions", questions.schema),
    ("notes", notes.schema),
    ("telling", telling.schema),
    ("retention", retention.schema),
    ("recall", recall.schema),
    ("recalled", recalled.schema),
    ("lineage", lineage.schema),
    ("tally", tally.schema),
)


def bind_all(settings: Settings | None = None, deploy: bool = False) -> Binding:
    """Connect this process to every table, those of the jobs included.

    Parameters
    ----------
    settings
        Those of the process unless given.
    deploy
        Declare what is missing; only whoever owns the database may.

    Raises
    ------
    DatabaseUnavailable
        If no connection can be had.
    NotDeployed
        If tables are missing.
    SchemaMismatch
        If the tables are those of another release.
    """
    with releases.without_false_alarm():
        releases.bind_releases(settings, deploy, SCHEMAS)
        binding = bind(settings, deploy=deploy, schemas=SCHEMAS)
    if deploy:
        deploy_index(binding)
    return binding
