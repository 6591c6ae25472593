"""Which version the tables in a database have, and the steps from each version to the next.

A database that newer code has changed is refused; one that is older is brought up to date by
whoever deploys, or at once if it is the embedded one. A step and the row that records it are
one transaction on PostgreSQL. MySQL commits each change of a table, so there a step that was
cut short is done again from its beginning: every step has to bear that.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from data_platform.errors import SchemaMismatch
from data_platform.settings import Settings
from data_platform.version import __version__
from schemas import declared
from schemas.binding import Binding, Schemas, bind
from schemas.engine import dj
from schemas.restrict import where
from schemas.sharing import Access
from schemas.starts import make_index

schema = dj.Schema()
RELEASES: Schemas = (("releases", schema),)


@schema
class Release(dj.Manual):
    definition = """
    # A version of the tables that came into force here; the highest one is
    schema_version : int32 # rises by one with each step
    ---
    applied_at : datetime(6) # UTC
    package_version : varchar(32) # of this product
    """


def bind_releases(settings: Settings | None, deploy: bool, schemas: Schemas) -> None:
    """Bind the table of versions, see that the tables fit this release, and migrate them if they are to be.

    Parameters
    ----------
    schemas
        All of this product's, by name.

    Raises
    ------
    SchemaMismatch
        If the tables are those of a newer release, or of an older one and not to be changed.
    NotDeployed
        If there are none.
    """
    binding = bind(settings, deploy=deploy, schemas=RELEASES)
    try:
        held = _version()
        if held < len(STEPS):
            if not (deploy or binding.settings.database.backend == "embedded"):
                raise SchemaMismatch(
                    f"The tables have version {held} and this release needs {len(STEPS)}. "
                    "Their owner has to run `data-platform deploy` of this release."
                )
            with binding._deploying():
                _migrate(binding, schemas)
        elif held > len(STEPS):
            newest = where(Release, schema_version=held).fetch1("package_version")
            raise SchemaMismatch(
                f"The tables have version {held}, and this release ({__version__}) knows none after {len(STEPS)}. "
                f"Install release {newest} or newer."
            )
    except BaseException:
        if len(binding._active) == len(RELEASES):  # bound just now, and of no use to anybody
            binding.close()
        raise


@contextmanager
def without_false_alarm() -> Iterator[None]:
    """Drop DataJoint's warning that the jobs tables, which it defines itself, use types of the database."""
    log = logging.getLogger("datajoint")

    def welcome(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith("Native type ")

    log.addFilter(welcome)
    try:
        yield
    finally:
        log.removeFilter(welcome)


def bind_if_current(settings: Settings | None, schemas: Schemas) -> Binding | None:
    """Bind some of this product's schemas, if the tables have the version of this release; else None.

    Raises
    ------
    DatabaseUnavailable
        If no connection can be had.
    NotDeployed
        If there are no tables.
    """
    with without_false_alarm():
        bind(settings, schemas=RELEASES)
        return bind(settings, schemas=schemas) if _version() == len(STEPS) else None


def _version() -> int:
    """Return the version in force; 0 = from before versions were recorded, or nothing is there yet."""
    versions = Release.to_arrays("schema_version")
    return int(max(versions)) if len(versions) else 0


def _migrate(binding: Binding, schemas: Schemas) -> None:
    names = [f"{binding.settings.database.prefix}_{name}" for name, other in schemas if other is not schema]
    held = _version()  # anew: somebody else may have been faster
    if not held and not declared._columns(binding.connection, names):
        held = len(STEPS) - 1  # nothing is there that could be changed: all will be made as this release has it
        steps: tuple[Step, ...] = (lambda binding, names: None,)
    else:
        steps = STEPS[held:]
    for version, step in enumerate(steps, start=held + 1):
        with binding.transaction():
            step(binding, names)
            now = datetime.now(UTC).replace(tzinfo=None)
            Release.insert1({"schema_version": version, "applied_at": now, "package_version": __version__})
    binding.connection.known.clear()  # what the tables looked like before


def _tell_texts_apart(binding: Binding, names: list[str]) -> None:
    """Compare texts byte by byte on MySQL, as PostgreSQL does."""
    if binding.backend != "mysql":
        return
    query, collation = binding.connection.query, declared.collation(binding.connection)
    tables = query(
        "SELECT table_schema, table_name FROM information_schema.tables "
        "WHERE table_schema IN %s AND table_collation <> %s ORDER BY 1, 2",
        (tuple(names), collation),
    ).fetchall()
    query("SET foreign_key_checks = 0")  # columns that refer to each other are changed one after the other
    try:
        for name, table in tables:
            query(f"ALTER TABLE `{name}`.`{table}` CONVERT TO CHARACTER SET utf8mb4 COLLATE {collation}")
    finally:
        query("SET foreign_key_checks = 1")


def _find_the_latest_accesses(binding: Binding, names: list[str]) -> None:
    """Add the index by which the dashboard finds what was read last without looking at all accesses."""
    _add_index(binding, next(name for name in names if name.endswith("_sharing")), "access", "accessed_at")


def _find_what_an_object_holds(binding: Binding, names: list[str]) -> None:
    """Add the index by which removals and checks find the contents of an object without looking at all places."""
    backup = next(name for name in names if name.endswith("_backup"))
    _add_index(binding, backup, "placement", "store_id", "object_name")


def _add_index(binding: Binding, schema: str, table: str, *columns: str) -> None:
    """Add an index whose name is that of a new table's on each backend; twice is once.

    Readers of an embedded database declare their own tables only: one that is missing will come with its indexes.
    """
    query, of = binding.connection.query, ", ".join(columns)
    if (schema, table) not in declared._columns(binding.connection, [schema]):
        return
    if binding.backend == "postgresql":
        query(f'CREATE INDEX IF NOT EXISTS {table}_{"_".join(columns)}_idx ON "{schema}".{table} ({of})')
        return
    indexes = query(
        "SELECT GROUP_CONCAT(column_name ORDER BY seq_in_index SEPARATOR ', ') FROM information_schema.statistics"
        " WHERE table_schema = %s AND table_name = %s GROUP BY index_name",
        (schema, table),
    ).fetchall()
    if not any(str(held).startswith(of) for (held,) in indexes):
        query(f"ALTER TABLE `{schema}`.{table} ADD INDEX {columns[0]} ({of})")


def _find_names_by_their_start(binding: Binding, names: list[str]) -> None:
    """Add the index by which the dashboard finds files from how their names start."""
    make_index(
        binding.connection, next(name for name in names if name.endswith("_catalogue")), "file_name", "file_name"
    )


def _name_accounts(binding: Binding, names: list[str]) -> None:
    """Have accesses tell what accounts are called whose login is an id, and the sources' own checksums."""
    schema = next(name for name in names if name.endswith("_sharing"))
    declared.add_text(binding.connection, schema, Access, "account_name", "owner_name", "source_hash")


Step = Callable[[Binding, list[str]], None]
STEPS: tuple[Step, ...] = (
    _tell_texts_apart,
    _find_the_latest_accesses,
    _find_names_by_their_start,
    _name_accounts,
    _find_what_an_object_holds,
)
"""Step n leads from version n to n + 1; it gets the names of the schemas. Steps are only ever added."""
