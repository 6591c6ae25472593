"""Statements that the database may refuse because others are at the same rows are tried again.

A deadlock says nothing about a statement but that it came at a bad moment: the database undid
it so that another one could go on.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

import psycopg2.errors
import pymysql

TRIES = 10
PAUSE_SECONDS = 0.02  # before the second try; twice as long before each further one

_MYSQL = (1205, 1213)  # waited too long for a lock, deadlock
_POSTGRESQL = (
    psycopg2.errors.DeadlockDetected,
    psycopg2.errors.LockNotAvailable,
    psycopg2.errors.SerializationFailure,
)
T = TypeVar("T")
_log = logging.getLogger(__name__)


def is_contention(error: BaseException) -> bool:
    """Tell whether the same statement may succeed if it is repeated now."""
    if isinstance(error, pymysql.OperationalError):
        return bool(error.args) and error.args[0] in _MYSQL
    return isinstance(error, _POSTGRESQL)


def persist(act: Callable[[], T]) -> T:
    """Return what `act` returns, which is repeated while others are in its way. Not for use in a transaction.

    Raises
    ------
    Exception
        What `act` raises: anything else, or contention that does not end.
    """
    for attempt in range(1, TRIES):
        try:
            return act()
        except (pymysql.OperationalError, psycopg2.OperationalError) as error:
            if not is_contention(error):
                raise
            _log.info("Others were at the same rows (%s); try %d follows.", type(error).__name__, attempt + 1)
        time.sleep(PAUSE_SECONDS * 2.0 ** (attempt - 1) * random.uniform(0.5, 1.0))  # two must not meet again
    return act()
