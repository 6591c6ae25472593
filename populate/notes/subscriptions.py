"""Subscriptions: who wants to be told, by mail or by a webhook, when a file has a new version."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from data_platform.errors import RestrictionError
from populate.lookup import lookup
from populate.notes.about import assert_known, names
from populate.notes.rows import Row, enter, moment, standing, writer
from populate.notes.tables import VersionNotice, VersionNoticeRefused, VersionNoticeSent
from populate.notes.webhook import hook_link
from populate.who.asker import Asker
from schemas.catalogue import Version
from schemas.notes import Subscription, SubscriptionEnded, SubscriptionKnown

KEY = ("person_id", "file_id", "notice_way", "subscribed_at")


@dataclass(frozen=True, slots=True)
class SubscriptionView:
    """A file that the asker follows.

    Attributes
    ----------
    way
        ``mail`` or ``webhook``; of the latter `hook_url` is the address.
    told
        Versions that they were told of, the last one at `told_at` (UTC).
    failure
        Why the last attempt to tell them failed; empty if it did not.
    """

    file_id: str
    name: str
    path: str
    way: str
    hook_url: str
    since: datetime
    told: int
    told_at: datetime | None
    failure: str


def follow(asker: Asker, file_id: str, webhook: str = "") -> None:
    """Have the asker told of each new version of a file from now on; a second time changes nothing.

    Parameters
    ----------
    webhook
        Address that a signed request goes to; a mail is sent unless given.

    Raises
    ------
    RestrictionError
        If the asker may not know the file, or the catalogue does not know them.
    UnsafeLink, UnknownSource, SettingsError
        If the address is none that requests may go to.
    """
    assert_known(asker, file_id)
    person = writer(asker)
    url = hook_link(webhook, asker.binding.settings).url if webhook else ""
    if any(row["hook_url"] == url for row in _standing(person, file_id)):
        return
    way = "webhook" if url else "mail"
    at = moment(asker, Subscription, "subscribed_at", person_id={person}, file_id={file_id})
    key = {"person_id": person, "file_id": file_id, "notice_way": way, "subscribed_at": at}
    asker.binding.ensure()
    with asker.binding.transaction():
        enter(asker.binding, Subscription, {**key, "hook_url": url})
        versions = lookup(Version, "version_id", file_id={file_id})
        enter(asker.binding, SubscriptionKnown, *({**key, "version_id": version} for (version,) in versions))


def unfollow(asker: Asker, file_id: str, webhook: str = "") -> None:
    """Have the asker told of a file no more: by that webhook, or unless one is given in no way.

    Raises
    ------
    RestrictionError
        If they do not follow it.
    """
    rows = [row for row in _standing(writer(asker), file_id) if not webhook or row["hook_url"] == webhook]
    if not rows or file_id not in names(asker, [file_id]):
        raise RestrictionError("You do not follow that file. `data-platform following` tells which ones you do.")
    enter(
        asker.binding,
        SubscriptionEnded,
        *({**{name: row[name] for name in KEY}, "unsubscribed_at": asker.now} for row in rows),
    )


def subscriptions_of(asker: Asker) -> list[SubscriptionView]:
    """Return the files that the asker follows, by name, with how far they were told."""
    if not asker.person_id:
        return []
    rows = standing(Subscription, SubscriptionEnded, person_id={asker.person_id})
    known = names(asker, {row["file_id"] for row in rows})
    sent = _latest(VersionNoticeSent, "notice_sent_at", asker)
    refused = _latest(VersionNoticeRefused, "notice_refused_at", asker, "notice_refusal")
    found = [
        _view(row, known[row["file_id"]].name, known[row["file_id"]].path, sent, refused)
        for row in rows
        if row["file_id"] in known
    ]
    return sorted(found, key=lambda view: (view.name, view.file_id, view.hook_url))


_Told = dict[tuple[object, ...], list[tuple[object, ...]]]


def _view(row: Row, name: str, path: str, sent: _Told, refused: _Told) -> SubscriptionView:
    key = tuple(row[part] for part in KEY)
    told, failed = sent.get(key, []), refused.get(key, [])
    told_at = told[-1][0] if told else None
    assert told_at is None or isinstance(told_at, datetime)
    failure = str(failed[-1][1]) if failed and (not told or failed[-1][:1] > told[-1][:1]) else ""
    return SubscriptionView(
        row["file_id"],
        name,
        path,
        row["notice_way"],
        row["hook_url"],
        row["subscribed_at"],
        len(told),
        told_at,
        failure,
    )


def _latest(table: type[VersionNotice], moment: str, asker: Asker, *more: str) -> _Told:
    """Return what a table holds of each subscription of the asker, the latest last."""
    found: _Told = {}
    for row in sorted(lookup(table, moment, *KEY, *more, person_id={asker.person_id})):
        found.setdefault(row[1 : 1 + len(KEY)], []).append((row[0], *row[1 + len(KEY) :]))
    return found


def _standing(person: str, file_id: str) -> list[Row]:
    return standing(Subscription, SubscriptionEnded, person_id={person}, file_id={file_id})
