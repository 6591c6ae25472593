"""Which engine searches here, and whether its index is there, whole, and what the tables say; and what to do if not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from data_platform.finding import Finding
from data_platform.settings import Settings
from populate.pipeline import bind_all
from populate.search.follower import Follower
from populate.search.following import TheIndex, has_index
from populate.search.on_server import OnServer
from populate.search.server_tables import are_there, is_wanted, schema_of
from populate.search.tables import now
from schemas.binding import Binding, bind

LATE = timedelta(minutes=10)
"""A change that the index on the server has not followed for so long: nobody keeps it."""

KEPT = "See that `data-platform search --keep` runs somewhere, with the role of a worker."
_index_is = partial(Finding, "search index")

_MAY_ASK = """
    SELECT has_table_privilege(c.oid, 'SELECT') FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = 'view_of_file'
"""


def checkup(settings: Settings) -> Iterator[Finding]:
    """Examine the index, and change nothing.

    Raises
    ------
    DatabaseError
        If the database cannot be asked, or refuses.
    """
    yield _on_server(settings) if is_wanted(settings) else _here(settings)


def _here(settings: Settings) -> Finding:
    if not has_index(settings):
        return _index_is("ok", "tantivy: none on this machine so far; the first search here makes it")
    index = TheIndex(bind_all(settings))
    if (share := index.state.share) < 1:
        return _index_is("note", f"tantivy: on this machine, {share:.0%} made so far; the next search goes on with it")
    try:
        waiting = len(index.waiting())
    except ValueError as error:
        return _index_is("note", f"tantivy: on this machine, cannot be read ({error}); the next search makes it anew")
    follows = f"{waiting:,} changes wait for the next search" if waiting else "it follows the tables"
    return _index_is("ok", f"tantivy: on this machine, whole; {follows}")


def _on_server(settings: Settings) -> Finding:
    binding = bind(settings)
    embedded = settings.database.backend == "embedded"
    if not are_there(binding):
        if embedded:
            return _index_is("ok", "postgresql: not there so far; the first search makes it")
        advice = "Have the owner of the schemas run `data-platform deploy` with search.engine = postgresql."
        return _index_is("todo", "postgresql: the server has no tables for the index of this release", advice)
    if not _may_ask(binding):
        return _index_is("note", "postgresql: on the server; this login may not search (role dashboard)")
    index: Follower[Any] = OnServer(bind_all(settings))
    if (share := index.state.share) < 1:
        return _index_is("note" if embedded else "todo", f"postgresql: on the server, {share:.0%} made so far", KEPT)
    return _told(index.waiting(), by_search=embedded)


def _may_ask(binding: Binding) -> bool:
    return bool(binding.connection.query(_MAY_ASK, (schema_of(binding.settings),)).fetchone()[0])


def _told(waiting: list[datetime], by_search: bool) -> Finding:
    if not waiting:
        return _index_is("ok", "postgresql: on the server, whole; it follows the tables")
    since = now() - min(waiting)
    detail = f"postgresql: on the server, whole; {len(waiting):,} changes wait"
    if by_search or since < LATE:
        return _index_is("ok", detail)
    return _index_is("todo", f"{detail}, the oldest for {since // timedelta(minutes=1):,} minutes", KEPT)
