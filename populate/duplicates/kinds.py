"""The kinds of duplicates that are not exact: what counts as one, and those that histories tell of.

Near duplicates and namesakes are found by `populate.duplicates.spool`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import combinations
from typing import NamedTuple

from populate.duplicates.forms.form import DOCUMENT, JSON, TABLE, TEXT

STALE, DIVERGED, NEAR, SAME_NAME = KINDS = ("stale", "diverged", "near", "same name")

SMALLEST = 64  # bytes; what is smaller says too little to be a copy of anything
MOST_HOLDERS = 20  # files that have or had a content, before it is a template and no common ancestor
# Jaccard similarity from which forms are alike. A row in common says much, words in common little: generated
# JSON and licences with another name in them share most of their words with strangers.
ALIKE = {TABLE: 0.8, DOCUMENT: 0.9, TEXT: 0.9, JSON: 0.98}
FEWEST = {TABLE: 20, DOCUMENT: 50, TEXT: 50, JSON: 50}  # different elements that similarity is told from
COMPARED = 16  # least hashes of a sketch
IN_COMMON = 5  # of these, that two similar ones have in common at the very least
MOST_ALIKE = 200  # forms with a hash in common, before it belongs to a template
MOST_NAMESAKES = 3  # files of one name, before it is a habit and no name

# Names that say what a file is for, not what is in it.
HABITS = frozenset(
    """
    book1 changelog conftest config copy data dataset default document download draft export figure final image index
    init input license list log main makefile manifest metadata mappe1 name names notes output plot presentation
    readme report requirements result results sample samples settings setup sheet1 summary table temp template test
    tests text untitled utils version
    """.split()  # noqa: SIM905  (a word a line would be a page)
)


class Known(NamedTuple):
    """A version that a file has or had; `first_seen` is UTC and None if nobody read it."""

    file_id: str
    version_id: str
    sha256: str
    size: int
    first_seen: datetime | None
    present: bool


class Said(NamedTuple):
    """What a present content says; see `populate.duplicates.forms.form.Form`."""

    sha256: str
    kind: str
    form_sha256: str
    elements: int
    sketch: str


class Relation(NamedTuple):
    """A file and the one that it says the same as, or once did.

    `common` is the content that both have or had (stale, diverged), the form of both (near,
    if they say the same), or empty. `similarity` is 1 for what says the same.
    """

    kind: str
    file_id: str
    other_id: str
    common: str
    similarity: float


def by_history(versions: Iterable[Known]) -> list[Relation]:
    """Return stale and diverged copies.

    A file is *stale* if its present content is an older version of another file, and the
    other had it no later. Two files are *diverged* if they had a content in common and both
    are different now, or one went on from what the other still is.
    """
    holders: defaultdict[str, dict[str, Known]] = defaultdict(dict)
    now: dict[str, str] = {}
    for version in sorted(versions, key=_met):
        holders[version.sha256].setdefault(version.file_id, version)
        if version.present:
            now[version.file_id] = version.sha256
    found: dict[tuple[str, str], tuple[int, datetime, Relation]] = {}
    for sha256, files in holders.items():
        some = next(iter(files.values()))
        if some.size < SMALLEST or not 1 < len(files) <= MOST_HOLDERS:
            continue
        for first, second in combinations(files.values(), 2):  # in the order in which they were met
            if (relation := _related(sha256, first, second, now, holders)) is not None:
                # Of several contents in common an older version of one counts most, then the latest.
                rank = (int(relation.kind == STALE), second.first_seen or datetime.min, relation)
                pair = (min(first.file_id, second.file_id), max(first.file_id, second.file_id))
                found[pair] = max(found.get(pair, rank), rank)
    return sorted(relation for _, _, relation in found.values())


def _related(
    common: str, first: Known, second: Known, now: Mapping[str, str], holders: Mapping[str, Mapping[str, Known]]
) -> Relation | None:
    ours, theirs = now.get(first.file_id), now.get(second.file_id)
    if ours is None or theirs is None or ours == theirs:
        return None
    exchanged = second.file_id in holders[ours]  # each is what the other was
    if theirs == common and not exchanged:
        return Relation(STALE, second.file_id, first.file_id, common, 0.0)
    return Relation(DIVERGED, second.file_id, first.file_id, common, 0.0)


def _met(version: Known) -> tuple[datetime, str, str]:
    return (version.first_seen or datetime.max, version.file_id, version.version_id)
