"""The roles that a company gives its logins, each with the least privileges that work.

============ ===========================================================================
reader       adds to the inbox of accesses, and changes nothing; sees marks of recalls, which tell nothing
             to whoever has not met the bytes, and nothing else, not even its own
worker       reads all; adds results, accesses and what directories say; keeps the queues;
             changes whose an account is and what people are called; deletes nothing but rows of the
             search index, if the server keeps one
dashboard    reads all, and writes nothing
steward      reads all; keeps people, departments and accounts; has backups tried again, and says which may go
answers      adds what people tell: answers, asks, choices; sees and changes nothing
entries      reads all; adds what people enter at the dashboard; has what failed tried again
notices      adds notices of changes in drives; sees which drives are followed, and nothing else
============ ===========================================================================

They are called ``PREFIX_reader`` and so on, because roles belong to a server, not to a schema.
On PostgreSQL a worker changes no other column either. MySQL has no way to skip a row that is there but an
UPDATE which sets a key to what it is, so there a worker may update one column of the key, and so may a steward of what
is found when backups are read back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from data_platform.errors import DatabaseError
from populate.backup import removal
from populate.backup.erased import Erasure
from populate.backup.stores import ContentStore
from populate.backup.tables import Placement
from populate.backup.verification import Damage, DamageMended, Verification, VerificationBatch
from populate.describe import tables as describe
from populate.ingest import BackupBatch, BackupMember
from populate.pipeline import SCHEMAS
from populate.profile import tables as profile
from populate.releases import RELEASES, Release
from populate.retention import tables as retention
from populate.search.server_tables import TABLES as INDEX_TABLES
from populate.search.server_tables import is_ours
from populate.search.server_tables import schema_of as index_schema
from populate.silo import SiloParameter
from populate.snapshot import Snapshot, coverage
from schemas import (
    asking,
    catalogue,
    code,
    conversation,
    declared,
    directory,
    entered,
    following,
    notes,
    output,
    people,
    recall,
    sharing,
    survey,
)
from schemas.binding import CORE, Binding
from schemas.drivers import DRIVER_ERRORS
from schemas.engine import dj

ROLES = ("reader", "worker", "dashboard", "steward", "answers", "entries", "notices")

INBOX = (sharing.AccessBatch, sharing.AccessRun, sharing.Access, output.Output, code.RunCode)
PEOPLE = (
    *(people.Department, people.Person, people.Account, people.AccountName, people.Membership, people.Departure),
    conversation.MailAddress,
)
# What ingest and directories add to the tables of people, catalogue and sharing; of the other schemas a worker
# fills all.
INGESTED = (
    *PEOPLE,
    *declared.tables(catalogue.schema),
    sharing.Execution,
    sharing.ShareEdge,
    *(sharing.Permission, sharing.PermissionEnded, sharing.ShareEvent),
    *(sharing.SourceLog, sharing.SourceRead),
)
# The only columns that a worker changes: a wrong identity is mended there, and a directory knows names better than
# a login tells them. What they were before is in rows of their own.
MENDED: Mapping[Any, tuple[str, ...]] = {
    people.Account: ("person_id",),
    people.Person: ("full_name", "person_kind"),
    Placement: ("object_name", "place_offset", "place_length"),  # a damaged content is put elsewhere
}
# A steward has backups tried again, takes snapshots, and says what counts as a silo.
REQUESTED = (BackupBatch, BackupMember, Snapshot, *coverage(), SiloParameter)
# What `check` of a steward finds.
FOUND = (VerificationBatch, Verification, Damage, DamageMended)
# What is erased loses its place, and what travelled with it gets another; so does what was found whole without
# one. What was told of what is erased is deleted.
ERASED = (Placement,)
# Only a steward says what may go, and has it go.
REMOVED = (*declared.tables(removal.schema), *declared.tables(retention.schema))
REPEATED = (
    *(profile.ContentProfile, profile.SheetProfile, profile.ColumnProfile),
    *(describe.ContentFacts, describe.Generated),
)
# What whoever keeps the search index on the server does with each of its tables.
INDEXED = dict(zip(INDEX_TABLES, (("INSERT", "DELETE"), ("INSERT", "DELETE"), ("INSERT", "UPDATE")), strict=True))
# What people tell.
TOLD = (
    conversation.Answer,
    *(asking.Ask, asking.AskOutcome, asking.PersonAskChoice),
    *(survey.HoursSaved, survey.SurveyChoice, survey.ReportSubscription, survey.ReportSubscriptionEnded),
    *notes.TOLD,
    *recall.TOLD,
)
# What people enter at the dashboard besides, by forms too, and what has failed jobs tried again there. Whose a login
# is cannot be entered: who may add that could be anybody.
ENTERED = (
    *TOLD,
    *(entered.Entry, survey.SurveyAsked),
    *(people.Department, people.Membership, people.Departure, conversation.MailAddress),
    SiloParameter,
    *(BackupBatch, BackupMember, VerificationBatch),
)
# What MySQL can grant of a table, but for handing it on.
PRIVILEGES = (
    *("SELECT", "INSERT", "UPDATE", "DELETE", "REFERENCES"),
    *("CREATE", "ALTER", "DROP", "INDEX", "TRIGGER", "CREATE VIEW", "SHOW VIEW"),
)
# What a source tells of drives.
NOTICED = (following.ChangeNotice, following.ChangeSubscriptionEvent)
# What a steward decides for all who have not.
DECIDED = (asking.CompanyAskChoice, asking.PersonAskChoice)


class Grant(NamedTuple):
    """What a role may do with a table; `verbs` are SQL's, sorted."""

    role: str
    verbs: tuple[str, ...]
    schema: str
    table: str


def deploy_roles(binding: Binding) -> list[Grant]:
    """Make the roles and give each its privileges, and no others; return them.

    Doing it again changes nothing; what somebody added to a role by hand is taken away.

    Raises
    ------
    DatabaseError
        If the login may not make roles.
    """
    try:
        with binding._deploying(), binding.transaction():  # (MySQL commits each statement anyway)
            _assert_owner(binding)
            wanted = _grants(binding)
            for role in ROLES:
                _make(binding, role_name(binding, role))
            for statement in _statements(binding, wanted):
                binding.connection.query(statement)
    except (dj.DataJointError, *DRIVER_ERRORS) as error:
        if isinstance(error, DatabaseError):
            raise
        raise DatabaseError(
            f"The roles cannot be made: {error} Deploy with a login that may make roles (docs/how-to/deploy.md), "
            "or leave them out: data-platform deploy --no-roles"
        ) from error
    return wanted


def role_name(binding: Binding, role: str) -> str:
    """Return what a role is called on the server."""
    return f"{binding.settings.database.prefix}_{role}"


def _assert_owner(binding: Binding) -> None:
    """PostgreSQL only warns of a grant by somebody who may not grant; MySQL refuses it."""
    if binding.backend == "postgresql":
        schemas = tuple(_schemas(binding))
        foreign = binding.connection.query(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname IN %s AND c.relkind = 'r' AND NOT pg_has_role(c.relowner, 'USAGE') ORDER BY 1 LIMIT 1",
            (schemas,),
        ).fetchone()
        if foreign:
            raise dj.errors.AccessError(f"this login does not own {foreign[0]}.")


def _schemas(binding: Binding) -> list[str]:
    """Return what all schemas are called on the server, that of the search index too if it is there."""
    named = [f"{binding.settings.database.prefix}_{name}" for name, _ in SCHEMAS]
    return [*named, index_schema(binding.settings)] if is_ours(binding) else named


def _grants(binding: Binding) -> list[Grant]:
    held = sorted(declared._columns(binding.connection, _schemas(binding)))
    writers = _writers(index_schema(binding.settings))
    changed = _changed(binding)
    found = []
    for role in ROLES:
        for schema, table in held:
            verbs = writers[role].get((schema, table), set()) | _looks(role, binding.backend, table)
            if role == "worker" and table.startswith("~~"):
                verbs |= {"INSERT", "UPDATE", "DELETE"}
            elif role in ("steward", "entries") and table.startswith("~~"):
                verbs.add("UPDATE")  # to have what failed tried again
            elif columns := changed.get(role, {}).get((schema, table)):
                verbs.add(f"UPDATE ({', '.join(map(binding.connection.adapter.quote_identifier, columns))})")
            if verbs:
                found.append(Grant(role, tuple(sorted(verbs)), schema, table))
    return found


def _changed(binding: Binding) -> Mapping[str, Mapping[tuple[str, str], tuple[str, ...]]]:
    """Return the columns that a role may change of tables that it does not change otherwise."""
    columns = {(table.database, table.table_name): names for table, names in MENDED.items()}
    if binding.backend != "mysql":
        return {"worker": columns}
    for table in (*INGESTED, *_results()):
        name = (table.database, table.table_name)
        columns[name] = (table().primary_key[0], *columns.get(name, ()))
    found = {(table.database, table.table_name): (table().primary_key[0],) for table in FOUND}
    return {"worker": columns, "steward": found}


def _looks(role: str, backend: str, table: str) -> set[str]:
    """Return what it takes to look at a table, or for a reader to see that it is there.

    REFERENCES lets nobody do anything who owns no schema. On PostgreSQL DataJoint sees no
    primary key without it; MySQL would hide the tables from readers.
    """
    if role == "answers":
        return set()  # it does not use DataJoint
    if role == "notices" and backend == "mysql" and table in {noticed.table_name for noticed in NOTICED}:
        return {"REFERENCES", "UPDATE (drive_key)"}  # to skip a row that is there
    if role in ("reader", "notices"):
        seen = table[0] not in "#~" or (role == "notices" and table.startswith("~~"))  # it binds the queues, too
        return {"REFERENCES"} if backend == "mysql" and seen else set()
    return {"SELECT", "REFERENCES"} if backend == "postgresql" else {"SELECT"}


def _writers(index: str) -> Mapping[str, Mapping[tuple[str, str], set[str]]]:
    return {
        "reader": _each(INBOX, "INSERT") | _each(recall.SHOWN, "SELECT"),
        "worker": {
            **_each((*INBOX, *INGESTED, *_results()), "INSERT"),
            **{(index, table): set(verbs) for table, verbs in INDEXED.items()},
        },
        "dashboard": {},
        "steward": {
            **_each(_kept(), "INSERT", "UPDATE", "DELETE"),
            **_each((*REQUESTED, *DECIDED, *FOUND, *REMOVED, Erasure), "INSERT"),
            **_each(ERASED, "INSERT", "UPDATE", "DELETE"),
            # Without UPDATE MySQL lets nobody lock its rows; INSERT, for a hold may be the first that a store keeps.
            **_each((ContentStore,), "INSERT", "UPDATE"),
            **_each(REPEATED, "DELETE"),
        },
        "answers": _each(TOLD, "INSERT"),
        "entries": _each(ENTERED, "INSERT"),
        "notices": {
            **_each((Release,), "SELECT", "REFERENCES"),
            **_each((following.FollowedDrive,), "SELECT (drive_key)", "REFERENCES"),
            **_each(NOTICED, "SELECT", "INSERT", "REFERENCES"),
        },
    }


def _results() -> list[Any]:
    told = (asking.schema, conversation.schema, entered.schema, survey.schema, notes.schema, recall.schema)
    decided = (removal.schema, retention.schema)
    others = {id(schema) for schema in (*(schema for _, schema in (*CORE, *RELEASES)), *told, *decided)}
    found = (table for _, schema in SCHEMAS if id(schema) not in others for table in declared.tables(schema))
    return [table for table in found if not issubclass(table, dj.Lookup)]


def _kept() -> list[Any]:
    """Return the tables that a steward keeps."""
    of_directories = (table for table in declared.tables(directory.schema) if not issubclass(table, dj.Lookup))
    return [*PEOPLE, *of_directories]


def _each(tables: Iterable[Any], *verbs: str) -> dict[tuple[str, str], set[str]]:
    return {(table.database, table.table_name): set(verbs) for table in tables}


def _make(binding: Binding, role: str) -> None:
    if binding.backend == "mysql":
        binding.connection.query(f"CREATE ROLE IF NOT EXISTS `{role}`")
    elif not binding.connection.query("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone():
        binding.connection.query(f'CREATE ROLE "{role}" NOLOGIN')


def _statements(binding: Binding, wanted: list[Grant]) -> Iterable[str]:
    quote = binding.connection.adapter.quote_identifier
    of_role = {role: quote(role_name(binding, role)) for role in ROLES}
    schemas = sorted({grant.schema for grant in wanted})
    if binding.backend == "postgresql":
        for role in of_role.values():
            for schema in map(quote, schemas):
                yield f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role}"
                yield f"REVOKE ALL ON SCHEMA {schema} FROM {role}"
                yield f"GRANT USAGE ON SCHEMA {schema} TO {role}"
    for grant in wanted:
        table = f"{quote(grant.schema)}.{quote(grant.table)}"
        if binding.backend == "mysql":
            # Each statement is one of its own, and services are at work meanwhile: what they need is not taken away.
            # Nor of columns: taken from a table, a privilege is gone from all its columns.
            held = {verb.partition(" (")[0] for verb in grant.verbs}
            others = ", ".join(privilege for privilege in PRIVILEGES if privilege not in held)
            yield f"REVOKE IF EXISTS {others} ON {table} FROM {of_role[grant.role]}"
        yield f"GRANT {', '.join(grant.verbs)} ON {table} TO {of_role[grant.role]}"
