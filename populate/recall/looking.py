"""The recalls that somebody made, and those that concern them, as far as they may know what these are about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from populate.provenance.sight import Sight
from populate.recall.reach import CONCERNS
from populate.recall.statements import ask
from populate.who.asker import Asker


@dataclass(frozen=True, slots=True)
class Recalled:
    """A recall as one person may know it.

    Attributes
    ----------
    mine
        Whether the asker made it.
    file
        Path of the recalled file as the asker knows it; empty, like `owner`, `sha256` and `right`, if they may not
        know it: then `met` alone tells what it is about.
    sha256, right
        Hashes of the recalled bytes, and of those to use instead if there are such.
    concern
        How it concerns the asker: ``read`` (these bytes), ``holds`` (a copy), ``wrote`` (a result of them),
        ``result`` (they read one), or empty.
    met, met_at
        By which file they met it, and when first (UTC).
    told, acknowledged
        People whom it concerns, and those of them who have taken note; 0 unless `mine`.
    waiting
        Who read this very file and has not taken note, as far as they may be named; empty unless `mine`.
    """

    recall_id: str
    recalled_at: datetime
    reason: str
    ended_at: datetime | None
    mine: bool
    file_id: str
    file: str
    owner: str
    sha256: str
    right: str
    concern: str
    met: str
    met_at: datetime | None
    acknowledged_at: datetime | None
    told: int = 0
    acknowledged: int = 0
    waiting: tuple[str, ...] = ()


class _Notice(NamedTuple):
    recall_id: str
    account_id: str
    person_id: str
    concern: str
    file_id: str
    met_at: datetime
    acknowledged_at: datetime | None


def recalls_of(asker: Asker, recalls: Collection[str] | None = None) -> list[Recalled]:
    """Return the recalls that the asker made or that concern them, the latest first.

    Parameters
    ----------
    recalls
        Ids of those that are wanted; all of them unless given.
    """
    concerning = {row[0] for row in ask(asker.binding, "concerned", mine=asker.accounts)}
    wanted = tuple(sorted(concerning if recalls is None else concerning & set(recalls)))
    notices: defaultdict[str, list[_Notice]] = defaultdict(list)
    for row in ask(asker.binding, "notices", recalls=wanted):
        notices[row[0]].append(_Notice(*row))
    rows = ask(asker.binding, "recalls", recalls=wanted)
    sight = Sight(asker)
    met = {notice.file_id for each in notices.values() for notice in each if notice.account_id in asker.accounts}
    sight.names({row[1] for row in rows} | met)
    return [_recalled(asker, sight, row, notices[row[0]]) for row in rows]


def _recalled(asker: Asker, sight: Sight, row: tuple, notices: list[_Notice]) -> Recalled:  # type: ignore[type-arg]
    recall_id, file_id, _, sha256, recaller, person, at, reason, _, right, ended = row
    mine = recaller in asker.accounts
    own = _nearest(notice for notice in notices if notice.account_id in asker.accounts)
    name = sight.names({file_id}).get(file_id)
    others = [notice for notice in notices if notice.account_id not in asker.accounts] if mine else []
    people = {notice.person_id for notice in others}
    noted = {notice.person_id for notice in others if notice.acknowledged_at}
    direct = {notice.person_id for notice in others if notice.concern == "read" and notice.file_id == file_id}
    return Recalled(
        recall_id,
        at,
        reason,
        ended,
        mine,
        file_id if name else "",
        name.path if name else "",
        sight.people({person}).get(person, "") if name else "",
        sha256 if name or (own and own.concern in ("read", "holds")) else "",
        right if name else "",
        own.concern if own else "",
        _name(sight, own.file_id) if own else "",
        own.met_at if own else None,
        own.acknowledged_at if own else None,
        len(people),
        len(noted),
        tuple(sorted(colleague.name for colleague in asker.colleagues(direct - noted).values())),
    )


def _nearest(notices: Iterable[_Notice]) -> _Notice | None:
    return min(notices, key=lambda notice: (CONCERNS.index(notice.concern), notice.met_at), default=None)


def _name(sight: Sight, file_id: str) -> str:
    name = sight.names({file_id}).get(file_id)
    return name.path if name else ""
