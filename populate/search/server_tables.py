"""The tables of the index that the catalogue's own PostgreSQL keeps: what there is, and how it is made.

They are in a schema of their own, ``PREFIX_index``: all that is in it follows from the other tables, so a backup may
leave it out, and nothing refers to it. Their columns are of PostgreSQL's own kinds (arrays, text search), so they are
not declared by DataJoint; every PostgreSQL server has these kinds.
"""

from __future__ import annotations

from collections.abc import Mapping
from string import Template

from data_platform.errors import DatabaseError, NotDeployed
from data_platform.settings import Settings
from populate.search.question import SAMPLES
from schemas.binding import Binding

SCHEMA = "index"
FORMAT = 2
"""Rises when what is indexed of the same tables, or how it is kept, becomes another; deploying drops what there is."""

_OURS = "data-platform, format "
_COMMENT = f"{_OURS}{FORMAT}"
TABLES = ("view_of_file", "word", "progress")

DEFINITIONS = (
    "CREATE SCHEMA $schema",
    # A file as some may know it; see `populate.search.views.View`.
    #   may, unless: whom it is shown to. Keys of an object are found by bisection; nobody looks for what is not shown.
    #   words, name, plain: as they are searched, those of the name, and as people write them.
    #   sample: the sparsest that the file is in, which is also in the others; see `populate.search.question.SAMPLES`.
    #   weight: what words count is multiplied with it; see `populate.search.engine.prior`.
    #   level: of that prior, a single one: GIN has arrays of numbers without an extension, and not numbers.
    #   about: what is shown, JSON. As text, for the order of its keys is that of the reasons.
    """
    CREATE TABLE $schema.view_of_file (
        file_id char(32) COLLATE "C" NOT NULL,
        view_no integer NOT NULL,
        digest char(64) COLLATE "C" NOT NULL,
        sample smallint NOT NULL,
        weight real NOT NULL,
        level integer[] NOT NULL,
        kind text COLLATE "C" NOT NULL,
        source text COLLATE "C" NOT NULL,
        owner text COLLATE "C" NOT NULL,
        department text COLLATE "C" NOT NULL,
        month text COLLATE "C" NOT NULL,
        may text[] COLLATE "C" NOT NULL,
        unless jsonb NOT NULL,
        name text[] COLLATE "C" NOT NULL,
        words tsvector NOT NULL,
        plain tsvector NOT NULL,
        about text COLLATE "C" NOT NULL,
        PRIMARY KEY (file_id, view_no)
    )
    """,
    # Written at once, not put aside: else each search would look through what is put aside.
    "CREATE INDEX view_of_file_words ON $schema.view_of_file USING gin (may, words, name, level)"
    " WITH (fastupdate = off)",
    *(
        f"CREATE INDEX view_of_file_of_{times} ON $schema.view_of_file USING gin (may, words)"
        f" WITH (fastupdate = off) WHERE sample >= {times}"
        for times in SAMPLES
        if times > 1
    ),
    "CREATE INDEX view_of_file_weight ON $schema.view_of_file (weight)",
    "CREATE INDEX view_of_file_plain ON $schema.view_of_file USING gin (plain) WITH (fastupdate = off)",
    # Each word of the views, to find those that begin alike, or look so: by their length and which letters they have.
    """
    CREATE TABLE $schema.word (
        word text COLLATE "C" PRIMARY KEY,
        letter_count integer NOT NULL,
        letter_bits integer NOT NULL
    )
    """,
    "CREATE INDEX word_letter_count ON $schema.word (letter_count)",
    # How far the views follow the tables: one row; its state is JSON, see `populate.search.follower.State`.
    """
    CREATE TABLE $schema.progress (
        progress_no integer PRIMARY KEY,
        is_complete boolean NOT NULL,
        state text NOT NULL
    )
    """,
    f"COMMENT ON SCHEMA $schema IS '{_COMMENT}'",
)


def schema_of(settings: Settings) -> str:
    """Return what the schema is called on the server."""
    return f"{settings.database.prefix}_{SCHEMA}"


def is_wanted(settings: Settings) -> bool:
    """Return whether the catalogue's server is to keep the index."""
    return settings.search.engine == "postgresql"


def are_there(binding: Binding) -> bool:
    """Return whether the server has the tables of this format."""
    return _comment(binding) == _COMMENT


def is_ours(binding: Binding) -> bool:
    """Return whether the server has a schema of this name that some release of ours has made."""
    return binding.backend == "postgresql" and (_comment(binding) or "").startswith(_OURS)


def _comment(binding: Binding) -> str | None:
    """Return what the server says of the schema; None if it is not there."""
    found = binding.connection.query(
        "SELECT COALESCE(obj_description(oid, 'pg_namespace'), '') FROM pg_catalog.pg_namespace WHERE nspname = %s",
        (schema_of(binding.settings),),
    ).fetchone()
    return str(found[0]) if found else None


def deploy_index(binding: Binding) -> None:
    """Make the tables if the settings want them, and drop them if not; doing it again changes nothing.

    Raises
    ------
    DatabaseError
        If somebody else has a schema of this name.
    """
    if binding.backend != "postgresql" or _is_deployed(binding):
        return
    with binding._deploying(), binding.transaction() as connection:
        if _is_deployed(binding):
            return  # somebody else was faster
        _drop(binding)
        for text in DEFINITIONS if is_wanted(binding.settings) else ():
            connection.query(rendered(text, binding))


def _is_deployed(binding: Binding) -> bool:
    return are_there(binding) if is_wanted(binding.settings) else not is_ours(binding)


def _drop(binding: Binding) -> None:
    if is_ours(binding):
        binding.connection.query(rendered("DROP SCHEMA $schema CASCADE", binding))
    elif _comment(binding) is not None:
        raise DatabaseError(
            f"The schema {schema_of(binding.settings)} is there, and nothing says that it is a search index of ours. "
            "Have its owner rename it, or set search.engine to tantivy."
        )


def assert_there(binding: Binding) -> None:
    """See that the tables can be used; the embedded database makes them at their first use.

    Raises
    ------
    NotDeployed
        If they are missing.
    """
    if are_there(binding):
        return
    if binding.settings.database.backend != "embedded":
        raise NotDeployed(
            "The database has no tables for the search index of this release. Its owner has to run "
            "`data-platform deploy` with search.engine = postgresql; or set search.engine to tantivy here."
        )
    deploy_index(binding)


def rendered(text: str, binding: Binding, more: Mapping[str, str] | None = None) -> str:
    """Return a statement with the names of schema and tables, as ``$schema`` and ``$view``."""
    schema = binding.connection.adapter.quote_identifier(schema_of(binding.settings))
    named = {name: f"{schema}.{name}" for name in TABLES}
    return Template(text).safe_substitute({"schema": schema, **named, **(more or {})})
