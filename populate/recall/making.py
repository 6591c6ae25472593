"""Marking a version wrong, taking that back, and taking note of it."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime
from typing import NoReturn

from data_platform.errors import RecallRefused
from data_platform.redact import redact_text
from data_platform.settings import Settings
from populate.conversation.statements import ask as ask_people
from populate.lookup import lookup
from populate.provenance.sight import Sight
from populate.provenance.walk import NOTHING
from populate.recall.statements import ask
from populate.recall.tables import RecallNotice
from populate.who.asker import Asker
from populate.who.link import item_of
from populate.who.whom import printable
from readers.event import new_event_id
from readers.freshness import mark_of, masked
from schemas.catalogue import Version
from schemas.engine import dj
from schemas.identity import display_text
from schemas.people import Account, Membership
from schemas.recall import Recall, RecallAcknowledged, RecallEnded, RecallMark

LONGEST_REASON = 1000
EVER = datetime(1970, 1, 1)
SHORTEST_ID = 8
_VERSION = re.compile(r"sha256:([0-9a-f]{8,64})", re.IGNORECASE)


def recall(
    asker: Asker, file_id: str, version_id: str, reason: str, right_version_id: str = "", *, steward: bool = False
) -> str:
    """Mark a version of a file wrong, and return the id of the recall.

    Whoever read its bytes, or what was made of them, is told by `populate.recall.telling`.

    Parameters
    ----------
    asker
        The owner of the file; of one whose owner has left, who managed them last.
    steward
        The asker is known to be a steward, who may recall what is nobody's any more, too.
    reason
        In words that everybody whom it concerns may read, at most 1000 characters.
    right_version_id
        The version of the same file to use instead, if there is one.

    Raises
    ------
    RecallRefused
        If the asker may not recall it, nothing is known of it, or it is recalled already.
    """
    versions = dict(lookup(Version, "version_id", "sha256", file_id={file_id}))
    if not Sight(asker).names({file_id}) or version_id not in versions:
        _unknown("this version of a file")
    sha256, right = versions[version_id], versions.get(right_version_id, "")
    recaller = _recaller(asker, file_id, steward)
    _refuse_if(not recaller, "Only the owner of a file can recall a version of it. Ask them to: `data-platform who`.")
    _refuse_if(bool(right_version_id) and not right, "The right version is none of this file. Name one that was read.")
    _refuse_if(right == sha256, "The right version has the very same bytes. Name another, or none.")
    _refuse_if(sha256 == NOTHING, "An empty file holds nothing that could be wrong. Recall what was made of it.")
    known = [row[0] for row in ask(asker.binding, "open", since=EVER) if row[1:3] == (file_id, sha256)]
    _refuse_if(bool(known), f"These bytes are recalled already ({''.join(known[:1])[:12]}). End that recall first.")
    told = _told(reason)
    key = {"recall_id": new_event_id()}
    mark = {
        "mark_id": mark_of(sha256, "" if _met_first(asker, file_id, sha256) else file_id),
        "marked_at": asker.now,
        "right_mask": masked(right, sha256, key["recall_id"]),
    }
    row = {
        "file_id": file_id,
        "version_id": version_id,
        "recaller_id": recaller,
        "recalled_at": asker.now,
        "recall_reason": told,
        "right_version_id": right_version_id,
    }
    with asker.binding.transaction():
        Recall.insert1(key | row)
        RecallMark.insert1(key | mark)
    return key["recall_id"]


def end(asker: Asker, recall_id: str) -> str:
    """Take a recall back, from now on, and return its id; only whoever made it can.

    Raises
    ------
    RecallRefused
        If the asker made no such recall, or has taken it back.
    """
    found = whole_id(asker, recall_id)
    made = lookup(Recall, "recaller_id", recall_id={found})
    _refuse_if(made[0][0] not in asker.accounts, "Only whoever recalled it can take that back. Ask them to.")
    try:
        RecallEnded.insert1({"recall_id": found, "recall_ended_at": asker.now})
    except dj.errors.DuplicateError:
        raise RecallRefused("This recall has been taken back already. `data-platform recalls` lists them.") from None
    return found


def acknowledge(asker: Asker, recall_id: str) -> str:
    """Write down that the asker has taken note of a recall, and return its id; again changes nothing.

    Raises
    ------
    RecallRefused
        If no such recall concerns the asker.
    """
    found = whole_id(asker, recall_id)
    told = {row[0] for row in lookup(RecallNotice, "account_id", recall_id={found}, account_id=asker.accounts)}
    _refuse_if(
        not told, "This recall is your own: there is nothing to acknowledge. `data-platform recalls` tells of it."
    )
    done = {row[0] for row in lookup(RecallAcknowledged, "account_id", recall_id={found}, account_id=told)}
    for account in sorted(told - done):
        with suppress(dj.errors.DuplicateError):  # clicked twice
            RecallAcknowledged.insert1({"recall_id": found, "account_id": account, "acknowledged_at": asker.now})
    return found


def whole_id(asker: Asker, recall_id: str) -> str:
    """Return the id of a recall that the asker made or that concerns them, from its first 8 digits and more.

    Raises
    ------
    RecallRefused
        If there is none or several; one that does not concern them does not exist.
    """
    wanted = recall_id.strip().lower()
    mine = sorted(row[0] for row in ask(asker.binding, "concerned", mine=asker.accounts))
    found = [each for each in mine if each.startswith(wanted)] if len(wanted) >= SHORTEST_ID else []
    if not found:
        raise RecallRefused(
            f"No recall {printable(recall_id)[:40]} concerns you. `data-platform recalls` lists those that do."
        )
    _refuse_if(len(found) > 1, f"{len(found)} recalls begin with {wanted}. Give more digits.")
    return str(found[0])


def version_of(asker: Asker, link: str, settings: Settings, version: str = "") -> tuple[str, str]:
    """Return ``file_id`` and ``version_id`` of a link: of its newest version, or of that whose hash begins so.

    Parameters
    ----------
    version
        ``sha256:`` and at least 8 digits.

    Raises
    ------
    RecallRefused
        If nothing is known of it that the asker may know.
    """
    item = item_of(asker, link, settings)
    if item is None or not Sight(asker).names({item.file_id}):
        _unknown(printable(link)[:200])
    digits = _VERSION.fullmatch(version.strip()) if version else None
    _refuse_if(bool(version) and digits is None, "A version is written as sha256: and at least 8 digits of the hash.")
    rows = sorted(ask(asker.binding, "met", files=(item.file_id,)), key=lambda row: (row[2] or datetime.min, row[0]))
    found = [row for row in rows if digits is None or row[1].startswith(digits[1].lower())]
    if not found:
        _unknown(f"{version} of {printable(link)[:200]}" if version else printable(link)[:200])
    several = digits is not None and len({row[1] for row in found}) > 1
    _refuse_if(several, f"Several versions begin with {version}. Give more digits.")
    return item.file_id, str(found[-1][0])


def _recaller(asker: Asker, file_id: str, steward: bool) -> str:
    """Return the account by which the asker may recall versions of a file; empty if they may not.

    That is its owner; once they have left, the manager whom they had, or a steward.
    """
    owners = [row[0] for row in ask(asker.binding, "owners", files=(file_id,))]
    if owner := next((owner for owner in owners if owner in asker.accounts), ""):
        return str(owner)
    people = {person for (person,) in lookup(Account, "person_id", account_id=set(owners))}
    managers = _managers_of_those_who_left(asker, people)
    may = bool(people) and len(managers) == len(people) and (steward or asker.person_id in managers.values())
    return min(asker.accounts) if may and asker.person_id else ""


def _managers_of_those_who_left(asker: Asker, people: set[str]) -> dict[str, str | None]:
    today = asker.now.date()
    left = {row[0] for row in ask_people(asker.binding, "departed", people=sorted(people), today=today)}
    stints = lookup(Membership, "person_id", "member_since", "manager_id", person_id=left)
    last = {person: manager for person, since, manager in sorted(stints, key=lambda row: row[:2]) if since <= today}
    return {person: last.get(person) for person in left}


def _met_first(asker: Asker, file_id: str, sha256: str) -> bool:
    """Tell whether these bytes were met nowhere before: who owns a copy does not speak for the original."""
    first = ask(asker.binding, "first_met", contents=(sha256,))
    return not first or first[0][0] == file_id


def _told(reason: str) -> str:
    told = redact_text(printable(display_text(" ".join(reason.split()))))
    _refuse_if(not told, "A recall needs a reason, which everybody whom it concerns is told. Give one.")
    _refuse_if(len(told) > LONGEST_REASON, f"The reason is longer than {LONGEST_REASON} characters. Shorten it.")
    return told


def _refuse_if(refused: bool, why: str) -> None:
    if refused:
        raise RecallRefused(why)


def _unknown(what: str) -> NoReturn:
    raise RecallRefused(f"Nothing is known of {what}, or you may not know it. Give a link that was read by it.")
