"""Decisions about keeping: what a database that was restored from a dump has of them, and their objects in folders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from data_platform.settings import load
from populate.retention.tables import (
    LegalHold,
    LegalHoldEnded,
    LegalHoldEndNoted,
    LegalHoldNoted,
    RetentionRule,
    RetentionRuleEnded,
    RetentionRuleEndNoted,
    RetentionRuleNoted,
)
from populate.store import stores
from populate.store.folder import FolderStore
from populate.store.sealed import SealedStore

Set = Callable[..., None]
TABLES: tuple[Any, ...] = (
    *(LegalHoldNoted, LegalHoldEndNoted, RetentionRuleNoted, RetentionRuleEndNoted),
    *(LegalHoldEnded, RetentionRuleEnded, LegalHold, RetentionRule),
)


def dumped() -> dict[Any, list[dict[str, Any]]]:
    """Return what a dump of this moment has of decisions."""
    return {table: table.to_dicts() for table in TABLES}


def restored(dump: dict[Any, list[dict[str, Any]]]) -> None:
    """Have the catalogue know what a dump has, and no more; an empty one is a database that was lost."""
    for table in TABLES:
        table.delete_quick()
    for table in reversed(TABLES):
        table.insert(dump.get(table, []), allow_direct_insert=True)


def folders() -> list[FolderStore]:
    found = [one.inner if isinstance(one, SealedStore) else one for one in stores(load())]
    assert all(isinstance(one, FolderStore) for one in found)
    return found  # type: ignore[return-value]


def spoil(store: FolderStore, name: str, content: bytes) -> None:
    (store.root / name).chmod(0o600)
    (store.root / name).write_bytes(content)
