"""Who is to be told of which version now, asked from the tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime, timedelta
from string import Template
from typing import NamedTuple

from populate.lookup import lookup
from populate.notes.tables import VersionNotice, VersionNoticeRefused, VersionNoticeSent
from populate.provenance.sight import Name, Sight
from populate.sharing.history import REVISION
from populate.who.asker import Asker, asker_of
from schemas.binding import Binding
from schemas.catalogue import Version
from schemas.notes import Subscription, SubscriptionEnded, SubscriptionKnown
from schemas.people import Account, Departure, Membership
from schemas.sharing import Access, Permission

DELAYS = (300, 3600, 6 * 3600, 24 * 3600)
"""Seconds until somebody is tried to be told again after the first, second … failure; after one more not any more."""
LOST = timedelta(minutes=10)
"""After so long a request of which nobody knows the outcome is taken for lost."""

_TABLES = (
    *(Access, Departure, Membership, Version),
    *(Subscription, SubscriptionEnded, SubscriptionKnown, VersionNoticeRefused, VersionNoticeSent),
)
_SAME = " AND ".join(f"x.{name} = s.{name}" for name in ("person_id", "file_id", "notice_way", "subscribed_at"))
# Bytes that the file had when somebody subscribed, or that they were told of, are not new under another revision.
_NEW = f"""
SELECT s.person_id, s.file_id, s.notice_way, s.subscribed_at, v.version_id, s.hook_url, v.revision,
       (SELECT MIN(a.accessed_at) FROM $Access a
        WHERE a.file_id = v.file_id AND a.version_id = v.version_id AND a.outcome = 'ok') AS met_at
FROM $Subscription s JOIN $Version v ON v.file_id = s.file_id
WHERE NOT EXISTS (SELECT 1 FROM $SubscriptionEnded x WHERE {_SAME})
  AND NOT EXISTS (SELECT 1 FROM $SubscriptionKnown x
                  JOIN $Version k ON k.file_id = x.file_id AND k.version_id = x.version_id
                  WHERE {_SAME} AND k.sha256 = v.sha256)
  AND NOT EXISTS (SELECT 1 FROM $VersionNoticeSent x
                  JOIN $Version k ON k.file_id = x.file_id AND k.version_id = x.version_id
                  WHERE {_SAME} AND k.sha256 = v.sha256)
  AND NOT EXISTS (SELECT 1 FROM $VersionNoticeRefused x
                  WHERE {_SAME} AND x.version_id = v.version_id AND x.notice_refused_for_good)
  AND NOT EXISTS (SELECT 1 FROM $Departure d
                  WHERE d.person_id = s.person_id AND d.departed_on <= %(today)s
                    AND NOT EXISTS (SELECT 1 FROM $Membership b
                                    WHERE b.person_id = d.person_id AND b.member_since >= d.departed_on
                                      AND b.member_since <= %(today)s))
ORDER BY 1, 2, 3, 4, 5
"""  # noqa: S608


class Due(NamedTuple):
    """Somebody is to be told of a version; `met_at` is when it was first read, None if nobody has read it."""

    person_id: str
    file_id: str
    way: str
    subscribed_at: datetime
    version_id: str
    hook_url: str
    met_at: datetime | None
    attempt: int
    name: Name

    @property
    def key(self) -> dict[str, object]:
        """The key of the row that says that it is told."""
        names = ("person_id", "file_id", "notice_way", "subscribed_at", "version_id")
        return {**dict(zip(names, self[:5], strict=True)), "notice_attempt": self.attempt}


def due(binding: Binding, now: datetime, mail_pause: timedelta) -> list[Due]:
    """Return what is to be told now, by person; who may not know a file any more is told nothing of it.

    Parameters
    ----------
    mail_pause
        From one mail to a person to the next, at least.
    """
    rows = [row for row in _rows(binding, now) if not _is_old(*row[3:5], *row[6:])]
    if not rows:
        return []
    attempts = _Attempts({row[0] for row in rows}, now, mail_pause)
    found: list[Due] = []
    for person, of_person in _by_person(rows).items():
        asker = _asker(binding, person, now)
        may = _names(asker, {(row[1], row[4]) for row in of_person})
        for row in of_person:
            attempt = attempts.next(row[:5])
            if attempt and (row[1], row[4]) in may:
                found.append(Due(*row[:6], row[7], attempt, may[row[1], row[4]]))
    return found


_Row = tuple[str, str, str, datetime, str, str, str, datetime | None]


def _rows(binding: Binding, now: datetime) -> list[_Row]:
    binding.ensure()
    text = Template(_NEW).substitute({table.__name__: table().full_table_name for table in _TABLES})
    return list(binding.connection.query(text, {"today": now.date()}).fetchall())


def _is_old(subscribed_at: datetime, version_id: str, revision: str, met_at: datetime | None) -> bool:
    """Tell whether a version came late into the catalogue, but was there before somebody subscribed."""
    return revision.startswith(REVISION) if met_at is None else met_at < subscribed_at


def _by_person(rows: Collection[_Row]) -> dict[str, list[_Row]]:
    found: dict[str, list[_Row]] = defaultdict(list)
    for row in rows:
        found[row[0]].append(row)
    return found


def _asker(binding: Binding, person: str, now: datetime) -> Asker:
    accounts = [account for (account,) in lookup(Account, "account_id", person_id={person})]
    return asker_of(binding, min(accounts, default=""), now)


def _names(asker: Asker, versions: Collection[tuple[str, str]]) -> dict[tuple[str, str], Name]:
    """Return by which name somebody knows the file of each version that they may hear of.

    Whoever has access hears of all. Of the others, who read the file once, those do not whose access was taken
    back; where a source tells of nobody's access, having read it has to do.
    """
    sight, files = Sight(asker), {file_id for file_id, _ in versions}
    known = sight.names(files)
    contents = {
        (file, version): sha for file, version, sha in lookup(Version, "file_id", "version_id", "sha256", file_id=files)
    }
    seen = {(file, sha) for file, sha in sight.ask("contents_seen", files=tuple(sorted(known)))}
    grants = {*asker.accounts, *asker.groups}
    once = {file for (file,) in lookup(Permission, "file_id", file_id=files, grantee_id=grants)}
    return {
        (file, version): known[file]
        for file, version in versions
        if file in known and ((file, contents[file, version]) in seen or file not in once)
    }


class _Attempts:
    """How often people were tried to be told, and when they may be told again."""

    def __init__(self, people: set[str], now: datetime, mail_pause: timedelta) -> None:
        self._now = now
        key = ("person_id", "file_id", "notice_way", "subscribed_at", "version_id")
        self._begun: dict[tuple[object, ...], tuple[int, datetime]] = {}
        self._refused = {}
        self._mailed: set[object] = set()
        for *of, attempt, begun in lookup(VersionNotice, *key, "notice_attempt", "notice_begun_at", person_id=people):
            self._begun[tuple(of)] = max(self._begun.get(tuple(of), (0, begun)), (attempt, begun))
            if of[2] == "mail" and begun > now - mail_pause:
                self._mailed.add(of[0])
        for *of, attempt, at in lookup(
            VersionNoticeRefused, *key, "notice_attempt", "notice_refused_at", person_id=people
        ):
            self._refused[(*of, attempt)] = at

    def next(self, of: tuple[object, ...]) -> int:
        """Return the number of the next attempt; 0 if there must be none now."""
        if of[2] == "mail" and of[0] in self._mailed:
            return 0
        attempt, begun = self._begun.get(of, (0, self._now))
        if not attempt:
            return 1
        refused = self._refused.get((*of, attempt))
        if attempt > len(DELAYS) or (refused is None and of[2] == "mail"):  # a mail may have gone out
            return 0
        again = begun + LOST if refused is None else refused + timedelta(seconds=DELAYS[attempt - 1])
        return attempt + 1 if self._now >= again else 0
