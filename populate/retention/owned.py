"""Of files: source, names, tags, owners and where these work; of many files with a query each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import date

from populate.lookup import lookup
from populate.retention.rules import FileFacts
from schemas.catalogue import File, FileName, FileOwner
from schemas.notes import FileTag, FileTagEnded
from schemas.people import Account, Membership


def facts_of(files: Collection[str], today: date) -> dict[str, FileFacts]:
    """Return what rules and holds ask of files, by file_id.

    Parameters
    ----------
    files
        Their ids.
    today
        UTC; whoever changes departments later works in the one before.
    """
    paths, tags = _paths(files), _tags(files)
    owned = sorted(lookup(FileOwner, "file_id", "owner_since", "account_id", file_id=files))
    accounts = dict(lookup(Account, "account_id", "person_id", account_id={row[2] for row in owned}))
    stints = sorted(lookup(Membership, "person_id", "member_since", "department", person_id=set(accounts.values())))
    everywhere, now = defaultdict[str, set[str]](set), dict[str, str]()
    for person, since, department in stints:
        everywhere[person].add(department)
        if since <= today:
            now[person] = department
    owners, latest = defaultdict[str, set[str]](set), dict[str, str]()
    for file_id, _, account in owned:
        owners[file_id].add(accounts[account])
        latest[file_id] = accounts[account]
    return {
        file_id: FileFacts(
            source,
            department=now.get(latest.get(file_id, ""), ""),
            tags=frozenset(tags[file_id]),
            paths=frozenset(paths[file_id]),
            owners=frozenset(owners[file_id]),
            departments=frozenset().union(*(everywhere[person] for person in owners[file_id])),
        )
        for file_id, source in lookup(File, "file_id", "source_system", file_id=files)
    }


def _paths(files: Collection[str]) -> defaultdict[str, set[str]]:
    found = defaultdict[str, set[str]](set)
    for file_id, path in lookup(FileName, "file_id", "file_path", file_id=files):
        found[file_id].add(path)
    return found


def _tags(files: Collection[str]) -> defaultdict[str, set[str]]:
    found = defaultdict[str, set[str]](set)
    ended = set(lookup(FileTagEnded, "file_id", "tag", "tagged_at", file_id=files))
    for row in lookup(FileTag, "file_id", "tag", "tagged_at", file_id=files):
        if row not in ended:
            found[row[0]].add(row[1])
    return found
