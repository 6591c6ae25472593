"""The freshness guard: whether bytes that were just read are known to be out of date.

It looks into one small local file, ``freshness/stale.json`` in HOME, at most once a second, and asks nobody: what the
file says was found out in the background after an earlier delivery (`readers.watching`). So the answer may be as old
as that. Bytes that this user has never read before are told of if they were recalled: the file has the marks of all
recalls, which say nothing to whoever has not met the bytes. What was found out of bytes only after a process had read
them is told with the next read of that process.

Bytes are stale if

recalled
    their owner said that they are wrong: these bytes, whichever file they were read from;
superseded
    an older version was read, as by ``version=`` or ``as_of=``, and a newer one of that file is known;
copy
    another file that the reader knows had the same bytes and has others now, while this one stayed behind.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import sys
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from time import monotonic
from typing import Literal, NamedTuple, get_args

from data_platform.errors import SettingsError, StaleData, StaleDataWarning
from data_platform.settings import Settings
from schemas.identity import ID_DIGITS, file_id, identity

OnStale = Literal["warn", "latest", "error"]
Kind = Literal["recalled", "superseded", "copy"]
FIRST: tuple[Kind, ...] = get_args(Kind)
"""What is told first, if there is more than one reason."""

OLDER = "read_version"
"""Noted as the function that read an older version."""

LOOK_SECONDS = 1.0
"""How often a process looks whether the file has changed."""

MOST_BYTES = 4 * 1024 * 1024
_OURS = frozenset({"readers", "data_platform"})
_log = logging.getLogger(__name__)


class Stale(NamedTuple):
    """Why bytes are out of date.

    Attributes
    ----------
    file_id
        The file of which it holds; empty for whichever the bytes were read from.
    reason
        A sentence without the name of the file.
    right
        SHA-256 of the bytes to use instead, or empty.
    """

    kind: Kind
    file_id: str
    reason: str
    right: str = ""


Known = Mapping[str, tuple[Stale, ...]]
"""SHA-256 of bytes -> why these are out of date; and mark of a recall (`mark_of`) -> that, as far as it may be told.

There the id of the recall stands in the place of the file, and `right` is masked.
"""

MARKS = "marks"
"""Key that is there if there are marks of recalls."""

SHA256_DIGITS = 64
_SHA256 = re.compile(rf"[0-9a-f]{{{SHA256_DIGITS}}}")


class Met(NamedTuple):
    """Bytes that were read: of which item, and by which name."""

    source_system: str
    item_id: str
    name: str
    sha256: str


def how(on_stale: str | None, settings: Settings) -> OnStale:
    """Return what to do about stale bytes, by the setting unless `on_stale` is given.

    Raises
    ------
    SettingsError
        If there is no such way.
    """
    wanted = on_stale if on_stale is not None else settings.reading.on_stale
    for known in get_args(OnStale):
        if wanted == known:
            return known  # type: ignore[no-any-return]
    raise SettingsError(f"on_stale is {wanted!r}. Give one of {', '.join(get_args(OnStale))}.")


def file_of(home: Path) -> Path:
    """Return where is written which bytes are out of date."""
    return home / "freshness" / "stale.json"


_kept: tuple[Settings | None, float, int, Known] = (None, 0.0, 0, {})


def known(settings: Settings) -> Known:
    """Return which bytes are known to be out of date; nothing if that cannot be told."""
    global _kept
    kept, now = _kept, monotonic()
    if kept[0] is settings and now < kept[1]:
        return kept[3]
    path = file_of(settings.home)
    try:
        changed = os.stat(path).st_mtime_ns
    except OSError:
        changed = 0
    same = kept[0] is settings and kept[2] == changed
    _kept = settings, now + LOOK_SECONDS, changed, kept[3] if same else load(path) if changed else {}
    return _kept[3]


def load(path: Path) -> Known:
    """Return what the file says; an odd or damaged one says nothing."""
    try:
        with path.open("rb") as file:
            said = json.loads(file.read(MOST_BYTES))
        told = {str(key): tuple(_stale(*each) for each in found if each[0] in FIRST) for key, found in said.items()}
        return told | ({MARKS: ()} if any(len(key) == ID_DIGITS for key in told) else {})
    except (OSError, ValueError, TypeError, AttributeError, IndexError, KeyError, RecursionError):
        _log.debug("%s cannot be read.", path, exc_info=True)
        return {}


def _stale(kind: Kind, file: str, reason: str, right: str) -> Stale:
    return Stale(kind, str(file), shown(str(reason), 500), str(right))


def mark_of(sha256: str, file_id: str = "") -> str:
    """Return under which identity it is written that bytes are recalled; only who knows their hash finds it.

    Without a file they are so wherever they are.
    """
    return identity("recalled", sha256, file_id)


def masked(right: str, sha256: str, recall_id: str) -> str:
    """Return a SHA-256 so that only who knows that of the recalled bytes can tell it; the same again brings it back."""
    if not _SHA256.fullmatch(right):  # none, or nothing that we wrote
        return ""
    pad = hashlib.sha256(f"{recall_id} {sha256}".encode()).hexdigest()
    return f"{int(right, 16) ^ int(pad, 16):0{SHA256_DIGITS}x}"


def look(settings: Settings, read: Iterable[Met], *, pinned: bool) -> tuple[Met, Stale] | None:
    """Return the first of what was read that is out of date, and why; None if nothing is known against it.

    Parameters
    ----------
    pinned
        An older version was asked for. Otherwise the source has just said that it is the present one.
    """
    stale = known(settings)
    if not stale:
        return None
    return next((told for met in read if (told := _look(stale, met, pinned=pinned)) is not None), None)


def _look(stale: Known, met: Met, *, pinned: bool) -> tuple[Met, Stale] | None:
    found = [each for each in stale.get(met.sha256, ()) if pinned or each.kind != "superseded"]
    here = file_id(met.source_system, met.item_id)
    of_file = [each for each in found if each.file_id in ("", here)]
    if MARKS in stale and not any(each.kind == "recalled" for each in of_file):  # that may tell the reason, too
        of_file += _marked(stale, met.sha256, here)
    return (met, min(of_file, key=lambda each: FIRST.index(each.kind))) if of_file else None


def _marked(stale: Known, sha256: str, here: str) -> list[Stale]:
    """Return what the marks of recalls say of bytes in a file."""
    found = []
    for mark in (mark_of(sha256), mark_of(sha256, here)):
        for told in stale.get(mark, ()):
            right = masked(told.right, sha256, told.file_id)
            instead = f" The right version is sha256:{right}." if right else ""
            found.append(Stale("recalled", "", f"{told.reason}{instead}", right))
    return found


MOST_MET = 1000
_met: OrderedDict[Met, None] = OrderedDict()  # each step of it is one, so threads need no lock, which a fork would keep
_met_by: tuple[Settings | None, Known] = (None, {})


def late(settings: Settings, read: Iterable[Met], recalled: Met | None = None) -> list[tuple[Met, Stale]]:
    """Return what is known by now to be recalled of what this process read before; each of it once.

    Parameters
    ----------
    read
        What it has read just now, of which `look` tells.
    recalled
        What of that `look` has told to be recalled.
    """
    global _met_by
    stale, now = known(settings), list(read)
    found: list[tuple[Met, Stale]] = []
    if _met_by[0] is not settings:
        _met.clear()
    elif stale and stale is not _met_by[1]:
        told = [_look(stale, met, pinned=False) for met in list(_met)]
        found = [one for one in told if one is not None and one[1].kind == "recalled"]
        for met, _ in found:
            _met.pop(met, None)
    _met_by = settings, stale
    _met.update(dict.fromkeys(met for met in now if met != recalled))
    while len(_met) > MOST_MET:
        _met.popitem(last=False)
    return [(met._replace(name=f"{met.name} (read before)"), why) for met, why in found if met not in now]


def told(met: Met, stale: Stale) -> str:
    """Return one line for whoever reads."""
    return f"{shown(met.name, 100)}: {stale.reason}"


def refuse(met: Met, stale: Stale) -> StaleData:
    """Return the error for bytes that are out of date."""
    error = StaleData(told(met, stale))
    error.kind, error.right = stale.kind, stale.right
    return error


def warn(met: Met, stale: Stale) -> None:
    """Warn in one line, which points to the line of the user that reads."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _OURS:
        frame, level = frame.f_back, level + 1
    warnings.warn(told(met, stale), StaleDataWarning, stacklevel=level)


def shown(text: str, longest: int) -> str:
    """Return text of others as one line that steers no terminal."""
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(text.split()))
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
