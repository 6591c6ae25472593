"""Finds out in the background which bytes that were read are out of date, for `readers.freshness`.

Whoever delivers accesses writes down which bytes these were, the last thousand, in ``freshness/watched.json``.
After a delivery, and every few minutes while it lives, the shipper asks the database about them: a few statements by
index, bounded in number, rows and time. What the login may not look at, and whatever else fails, leaves that part of
the answer as it was: no read and no delivery depends on it.

What is asked never goes beyond what the reader may know. That bytes were recalled is written under an identity of
their hash, which tells nothing to whoever has not met them: so the marks of all recalls are kept, and the first read of
recalled bytes warns as well. A copy counts only if its reader owns the other file, was
granted it, or has read there what is newer; then it is called what it was called when they did.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from data_platform.settings import Settings
from readers.freshness import SHA256_DIGITS, Stale, file_of, load, mark_of, masked, shown
from schemas.drivers import DRIVER_ERRORS
from schemas.engine import dj
from schemas.identity import ID_DIGITS, account_id, file_id

if TYPE_CHECKING:
    from readers.backlog import Noted
    from schemas.binding import Binding

MOST = 1000
"""Bytes that are watched; those read longest ago are let go first."""

AT_ONCE = 500
MOST_HOLDERS = 20  # files with the same bytes, before they are a template and nobody's copy
SMALLEST = 64  # bytes; what is smaller says too little to be a copy of anything
MOST_MARKS = 2000  # of recalls, the latest
SECONDS = 5  # that a statement may take

log = logging.getLogger("data_platform.freshness")

_NEWEST = """
    SELECT /*+ MAX_EXECUTION_TIME({limit}) */ f.file_id, {columns} FROM {file} f WHERE f.file_id IN %(files)s
"""
# A scalar for each column, so that one step back in an index answers, however often a file was read.
_LAST = """(
    SELECT a.{column} FROM {access} a
    WHERE a.file_id = f.file_id AND a.outcome = 'ok' AND a.sha256 <> '' AND a.function_name <> 'read_version'
    ORDER BY a.accessed_at DESC LIMIT 1)"""
_MARKS = """
    SELECT m.mark_id, m.recall_id, m.marked_at, m.right_mask FROM {recall_mark} m
    WHERE m.mark_id IN %(marks)s
      AND NOT EXISTS (SELECT 1 FROM {recall_ended} e WHERE e.recall_id = m.recall_id)
    ORDER BY m.marked_at
"""
_ALL_MARKS = """
    SELECT m.mark_id, m.recall_id, m.marked_at, m.right_mask FROM {recall_mark} m
    WHERE NOT EXISTS (SELECT 1 FROM {recall_ended} e WHERE e.recall_id = m.recall_id)
    ORDER BY m.marked_at DESC, m.mark_id LIMIT %(most)s
"""
_REASONS = "SELECT recall_id, recall_reason FROM {recall} WHERE recall_id IN %(recalls)s"
_HOLDERS = """
    SELECT /*+ MAX_EXECUTION_TIME({limit}) */ v.sha256, v.file_id FROM {version} v JOIN {blob} b ON b.sha256 = v.sha256
    WHERE v.sha256 IN %(contents)s AND b.blob_size >= %(smallest)s
    GROUP BY v.sha256, v.file_id LIMIT %(most)s
"""
_OWN = """
    SELECT o.file_id, o.account_id FROM {file_owner} o
    WHERE o.file_id IN %(files)s AND o.account_id IN %(accounts)s
      AND NOT EXISTS (SELECT 1 FROM {file_owner} l
                      WHERE l.file_id = o.file_id AND l.owner_since > o.owner_since)
    UNION
    SELECT p.file_id, p.grantee_id FROM {permission} p
    WHERE p.file_id IN %(files)s AND p.grantee_id IN %(accounts)s AND p.grantee_kind = 'account'
      AND NOT EXISTS (SELECT 1 FROM {permission_ended} e
                      WHERE e.file_id = p.file_id AND e.grantee_id = p.grantee_id
                        AND e.granted_since = p.granted_since)
      AND NOT EXISTS (SELECT 1 FROM {permission_expiry} x
                      WHERE x.file_id = p.file_id AND x.grantee_id = p.grantee_id
                        AND x.granted_since = p.granted_since)
"""
_READ = """
    SELECT /*+ MAX_EXECUTION_TIME({limit}) */ file_id, account_id, sha256, MIN(file_path) FROM {access}
    WHERE file_id IN %(files)s AND account_id IN %(accounts)s AND outcome = 'ok'
    GROUP BY file_id, account_id, sha256
"""
_SCHEMAS = {
    "sharing": ("access", "permission", "permission_ended"),
    "catalogue": ("file", "version", "blob", "file_owner"),
    "following": ("permission_expiry",),
    "recall": ("recall", "recall_mark", "recall_ended"),
}


class Watched(NamedTuple):
    """Bytes that an account read of a file."""

    file_id: str
    sha256: str
    account_id: str


_Told = tuple[str, Stale]


class _Newest(NamedTuple):
    sha256: str
    at: datetime
    path: str


def watch(settings: Settings, events: Iterable[Noted]) -> None:
    """Write down which bytes were read; whatever goes wrong with that, the delivery goes on."""
    try:
        fresh = list(dict.fromkeys(filter(None, (_watched(noted.payload) for noted in events))))
        if not fresh:
            return
        kept = dict.fromkeys(_watched_in(settings.home))
        for each in fresh:
            kept.pop(each, None)  # it was read last
            kept[each] = None
        _write(_place(settings.home), json.dumps(list(kept)[-MOST:]))
    except Exception:
        log.info("What was read cannot be watched.", exc_info=True)


def look(settings: Settings, binding: Binding) -> None:
    """Ask the database about all that is watched, and write down what of it is out of date. Never raises."""
    try:
        watched = _watched_in(settings.home)
        if not watched:
            return
        found: defaultdict[str, list[Stale]] = defaultdict(list)
        for answer, kinds in ((_recalled, {"recalled"}), (_moved_on, {"superseded", "copy"})):
            told = _answer(answer, _Asking(binding), watched)
            for sha256, stale in _as_it_was(settings, watched, kinds) if told is None else told:
                found[sha256].append(stale)
        marks = _answer(_marks, _Asking(binding), watched[:1])
        for mark, stale in _marks_as_they_were(settings) if marks is None else marks:
            found[mark].append(stale)
        _save(settings.home, found)
    except Exception:
        log.info("What is out of date cannot be written down.", exc_info=True)


def _answer(answer: _Answer, ask: _Asking, watched: list[Watched]) -> list[_Told] | None:
    """Return what an answer tells of all that is watched; None if it cannot be had: say, the login may not look."""
    try:
        parts = (watched[start : start + AT_ONCE] for start in range(0, len(watched), AT_ONCE))
        return [told for part in parts for told in answer(ask, part)]
    except Exception as error:
        log.info("Not known (%s): %s: %s", answer.__name__.strip("_"), type(error).__name__, error)
        return None


def _as_it_was(settings: Settings, watched: Collection[Watched], kinds: Collection[str]) -> list[_Told]:
    contents = {each.sha256 for each in watched}
    before = load(file_of(settings.home))
    return [(sha, stale) for sha, told in before.items() if sha in contents for stale in told if stale.kind in kinds]


def _marks_as_they_were(settings: Settings) -> list[_Told]:
    before = load(file_of(settings.home))
    return [(mark, stale) for mark, told in before.items() if len(mark) == ID_DIGITS for stale in told]


class _Asking:
    """Asks the tables by their names, whether this process has bound them or not, and within limits."""

    def __init__(self, binding: Binding) -> None:
        self._binding = binding
        quote, prefix = binding.connection.adapter.quote_identifier, binding.settings.database.prefix
        self._names = {
            table: f"{quote(f'{prefix}_{schema}')}.{quote(table)}"
            for schema, tables in _SCHEMAS.items()
            for table in tables
        } | {"limit": str(SECONDS * 1000)}

    def __call__(self, text: str, **values: Any) -> list[tuple[Any, ...]]:
        if any(isinstance(value, tuple) and not value for value in values.values()):
            return []
        self._binding.ensure()
        with self._binding.transaction() as connection:
            if self._binding.backend == "postgresql":
                connection.query(f"SET LOCAL statement_timeout = '{SECONDS}s'")
            return list(connection.query(text.format(**self._names), values).fetchall())

    def newest(self, files: Collection[str]) -> dict[str, _Newest]:
        """Return what was read last of each file, as its present version."""
        columns = ", ".join(
            _LAST.format(column=column, access=self._names["access"])
            for column in ("sha256", "accessed_at", "file_path")
        )
        rows = self(_NEWEST.replace("{columns}", columns), files=tuple(sorted(files)))
        return {row[0]: _Newest(*row[1:]) for row in rows if row[1]}


_Answer = Callable[[_Asking, Sequence[Watched]], Iterator[_Told]]


def _recalled(ask: _Asking, watched: Sequence[Watched]) -> Iterator[_Told]:
    """Yield which bytes their owner recalled; the reason only where this login may look at it."""
    meant = {mark_of(each.sha256, file): (each.sha256, file) for each in watched for file in ("", each.file_id)}
    marks = ask(_MARKS, marks=tuple(sorted(meant)))
    reasons: dict[str, str] = {}
    with contextlib.suppress(dj.errors.DataJointError, *DRIVER_ERRORS):
        reasons = dict(ask(_REASONS, recalls=tuple(sorted({mark[1] for mark in marks}))))
    for mark, recall, at, mask in marks:
        sha256, file = meant[mark]
        right = masked(mask, sha256, recall)
        yield sha256, Stale("recalled", file, _recall_text(recall, at, reasons.get(recall, ""), right), right)


def _marks(ask: _Asking, watched: Sequence[Watched]) -> Iterator[_Told]:
    """Yield the marks of the recalls in force, whatever they are about."""
    for mark, recall, at, mask in ask(_ALL_MARKS, most=MOST_MARKS):
        yield mark, Stale("recalled", recall, _recall_text(recall, at, "", ""), mask)


def _recall_text(recall: str, at: datetime, reason: str, right: str) -> str:
    why = f": {shown(reason, 200).rstrip('.')}" if reason else ""
    instead = f" The right version is sha256:{right}." if right else ""
    return (
        f"its owner recalled these bytes on {at:%Y-%m-%d}{why}.{instead} See `data-platform recalls` ({recall[:12]})."
    )


def _moved_on(ask: _Asking, watched: Sequence[Watched]) -> Iterator[_Told]:
    """Yield which bytes are no longer the newest of their file, and of which another file has moved on."""
    newest = ask.newest({each.file_id for each in watched})
    present = []
    for each in watched:
        now = newest.get(each.file_id)
        if now is not None and now.sha256 != each.sha256:
            reason = f"a newer version than this one is known, which was read on {now.at:%Y-%m-%d %H:%M} UTC."
            yield each.sha256, Stale("superseded", each.file_id, reason)
        else:
            present.append(each)
    yield from _copies(ask, present)


def _copies(ask: _Asking, present: Sequence[Watched]) -> Iterator[_Told]:
    holders = _holders(ask, {each.sha256 for each in present})
    others = {file for files in holders.values() for file in files}
    newest = ask.newest(others)
    accounts = tuple(sorted({each.account_id for each in present}))
    files = tuple(sorted(others))
    may_know = set(ask(_OWN, files=files, accounts=accounts))
    have_read = {tuple(row[:3]): row[3] for row in ask(_READ, files=files, accounts=accounts)}
    for each in present:
        for other in sorted(holders[each.sha256] - {each.file_id}):
            now = newest.get(other)
            if now is None or now.sha256 == each.sha256:
                continue
            known_as = have_read.get((other, each.account_id, now.sha256))
            if (other, each.account_id) in may_know:
                known_as = now.path
            if known_as is not None:
                reason = f"{shown(known_as, 200)} had the same bytes and has others now. Compare them before you go on."
                yield each.sha256, Stale("copy", each.file_id, reason)
                break


def _holders(ask: _Asking, contents: Collection[str]) -> dict[str, set[str]]:
    """Return which files have or had these bytes, unless these are everywhere."""
    most = AT_ONCE * MOST_HOLDERS
    found: defaultdict[str, set[str]] = defaultdict(set)
    for sha256, file in ask(_HOLDERS, contents=tuple(sorted(contents)), smallest=SMALLEST, most=most):
        found[sha256].add(file)
    return defaultdict(set, {sha256: files for sha256, files in found.items() if 1 < len(files) <= MOST_HOLDERS})


def _watched(payload: bytes) -> Watched | None:
    """Return what an access was of; None if no bytes were handed over, or it makes no sense."""
    try:
        facts = orjson.loads(payload)
        if (
            "accessed_at" not in facts
            or facts.get("outcome", "ok") != "ok"
            or len(facts.get("sha256", "")) != SHA256_DIGITS
        ):
            return None
        file = facts.get("file_id") or file_id(facts.get("source_system", ""), facts["item_id"])
        account = facts.get("account_id") or account_id(facts.get("account_realm", ""), facts["account_login"])
        return Watched(str(file), str(facts["sha256"]), str(account))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _place(home: Path) -> Path:
    return file_of(home).with_name("watched.json")


def _watched_in(home: Path) -> list[Watched]:
    """Return what is watched, read longest ago first; nothing if that is not known."""
    try:
        return [Watched(*map(str, each)) for each in json.loads(_place(home).read_bytes())]
    except (OSError, ValueError, TypeError):
        return []


def _save(home: Path, found: dict[str, list[Stale]]) -> None:
    text = json.dumps({sha256: list(dict.fromkeys(stale)) for sha256, stale in sorted(found.items())})
    path = file_of(home)
    with contextlib.suppress(OSError):
        if path.read_text() == text:
            return
    _write(path, text)


def _write(path: Path, text: str) -> None:
    """Put a file there that only its owner reads, complete or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        with open(descriptor, "w") as file:
            file.write(text)
        os.replace(draft, path)  # noqa: PTH105 - of a name, as mkstemp gives
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft)  # noqa: PTH108
        raise
