"""Adds many jobs to a queue at once."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import Any

from populate.work.contention import persist

MANY = 5000  # jobs that are added or changed at a time
PENDING = "pending"


def add_jobs(jobs: Any, keys: Any, priority: int) -> int:
    """Add a job that waits for each of `keys`, unless it has one; return the number of keys.

    DataJoint's own insert looks up the heading anew for each value, which is most of the time
    that filling a queue takes. Keys are fetched first: a statement that reads one table and adds
    to another would have MySQL lock all that it reads, and readers could deliver nothing meanwhile.

    Parameters
    ----------
    jobs
        The jobs table of a computed table.
    keys
        A query whose rows are keys of it, and nothing else.
    priority
        Of the jobs.
    """
    cursor = keys.cursor()
    names, found = [column[0] for column in cursor.description], iter(cursor.fetchall())
    number = 0
    while some := list(islice(found, MANY)):
        persist(partial(_insert, jobs, names, some, priority))
        number += len(some)
    return number


def _insert(jobs: Any, names: list[str], keys: list[tuple[Any, ...]], priority: int) -> None:
    adapter = jobs.connection.adapter
    columns = ", ".join(map(adapter.quote_identifier, (*names, "status", "priority")))
    row = f"({'%s, ' * len(names)}'{PENDING}', {priority:d})"
    marks = ", ".join([row] * len(keys))
    skip = adapter.skip_duplicates_clause(jobs.full_table_name, jobs.primary_key)
    statement = f"INSERT INTO {jobs.full_table_name} ({columns}) VALUES {marks}{skip}"  # noqa: S608
    jobs.connection.query(statement, args=[value for key in keys for value in key])
