"""What lies below a root, compared with what the catalogue knows: new, changed, known, or gone.

A list is worked through in portions, and each batch is written down as soon as it is full. So
memory does not grow with the share, and a survey that was killed has lost nothing: the next
one finds what was taken in, or still waits to be, and plans the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date
from itertools import islice

from data_platform.errors import SourceError, SourceNotFound
from populate.adopt.contents import several
from populate.adopt.listing import Listing, Portion
from populate.adopt.plan import Found, Plan
from populate.adopt.seen import Seen
from populate.adopt.tables import AdoptMember, AdoptTaken
from populate.adopt.unchanged import number_below, pages_below, unchanged
from populate.backup.contents import THREADS, Failure
from populate.facts import stored
from populate.lookup import lookup
from readers.source import Item, Listed, Source
from schemas.catalogue import File, FileGone, FileName, Version

PORTION = 1000  # files that are compared at once, otherwise
PAGE = 5000  # files of earlier surveys that are looked for at once among those met

Looked = Callable[[int, int], object]
"""Takes how many files and bytes were found so far."""


@dataclass(frozen=True, order=True, slots=True)
class Unread:
    """A file or folder that could not be taken in or looked at: its path, the name of the error, and its text."""

    path: str
    failure: str
    message: str


@dataclass(slots=True)
class Counts:
    """What a survey found.

    Attributes
    ----------
    files, bytes
        Files below the root, and their bytes, as far as the source tells.
    new, changed, known, waiting
        Of these: never taken in before; of another revision than those taken in; taken in; in a
        batch that waits to be taken in.
    bytes_to_read
        Of the new and changed ones.
    gone
        Found earlier, and the source says that they are not there any more.
    refused
        Folders and files that could not be looked at.
    """

    files: int = 0
    bytes: int = 0
    new: int = 0
    changed: int = 0
    known: int = 0
    waiting: int = 0
    bytes_to_read: int = 0
    gone: int = 0
    refused: int = 0


class Survey:
    """One look at everything below a root.

    Parameters
    ----------
    source, root
        The folder to look at.
    plan
        Writes down what is to be done, or nothing.
    looked
        Is told how far the survey is.
    listing
        What lies below the folder.
    """

    def __init__(
        self,
        source: Source,
        root: Item,
        plan: Plan,
        looked: Looked,
        listing: Listing,
    ) -> None:
        self.counts = Counts()
        self.refusals: list[Unread] = []
        self._source = source
        self._root = root
        self._plan = plan
        self._looked = looked
        self._listing = listing
        self._is_local = source.is_local(root.source_system, root.item_id)
        self._unchanged = 0

    def run(self) -> int:
        """Look at everything; return how many portions were looked at, and one more.

        Raises
        ------
        SourceError
            If the root itself cannot be listed.
        """
        portions = 1
        with Seen() as seen, ThreadPoolExecutor(THREADS, thread_name_prefix="survey") as pool:
            for portion in self._listing:
                self._look_through(portion, seen, pool)
                portions += 1
            self._plan.flush()
            if self.counts.files:  # an empty list is more likely a disk that is not there than an empty share
                self._miss(seen, pool)
        self._plan.end(asdict(self.counts))
        return portions

    def _look_through(self, portion: Portion, seen: Seen, pool: Executor) -> None:
        for path, error in portion.refused:
            self._refuse(path, error)
        for found in self._without_unchanged(seen.add(portion.met), pool):
            self._compare(found)
            self._looked(self.counts.files, self.counts.bytes)
        self._looked(self.counts.files, self.counts.bytes)

    def _without_unchanged(self, met: Mapping[str, Listed], pool: Executor) -> Iterator[list[Found]]:
        """Count the files that are as they were beyond doubt; yield the others, looked at one by one, in portions."""
        told = {identity: one for identity, one in met.items() if one.token}
        same = self._unchanged_of({identity: (one.token, one.size) for identity, one in told.items()})
        for some in _portions({identity: one for identity, one in told.items() if identity not in same}):
            yield self._found(pool, some)
        for some in _portions({identity: one for identity, one in met.items() if not one.token}):
            found = self._found(pool, some)
            same = self._unchanged_of({one.file_id: (one.revision.token, one.revision.size or 0) for one in found})
            yield [one for one in found if one.file_id not in same]

    def _unchanged_of(self, states: Mapping[str, tuple[str, int]]) -> set[str]:
        """Count those of some files, given with token and size, that are as they were beyond doubt; return them."""
        same = unchanged(self._plan.root_id, {identity: token for identity, (token, _) in states.items()})
        self._unchanged += len(same)
        self.counts.known += len(same)
        self.counts.files += len(same)
        self.counts.bytes += sum(states[identity][1] for identity in same)
        return same

    def _found(self, pool: Executor, met: Mapping[str, Listed]) -> list[Found]:
        """Look at files, threads several at a time unless they are on a disk of this machine."""
        found = []
        for look in map(self._look, met.items()) if self._is_local else several(pool, self._look, list(met.items())):
            if isinstance(look, Found):
                found.append(look)
            else:
                self._refuse(*look)
        return found

    def _look(self, one: tuple[str, Listed]) -> Found | tuple[str, SourceError]:
        identity, listed = one
        try:
            item = listed.item or self._source.reopen(listed.source_system, listed.item_id)
            return Found(identity, item, self._source.revision(item))
        except SourceError as error:
            return listed.path, error

    def _refuse(self, path: str, error: SourceError) -> None:
        if isinstance(error, SourceNotFound):  # removed since it was listed
            return
        failure = Failure.of(error)
        self.counts.refused += 1
        self.refusals.append(Unread(f"{self._root.path.rstrip('/')}/{path}", failure.name, failure.message))
        self._plan.refuse(path, failure)

    def _compare(self, portion: list[Found]) -> None:
        ids = [found.file_id for found in portion]
        versions = lookup(Version, "file_id", "version_id", "revision", file_id=ids)
        revisions: dict[str, set[str]] = {}
        for identity, _, revision in versions:
            revisions.setdefault(identity, set()).add(revision)
        latest = _taken_last(self._plan.root_id, versions)
        waiting = self._plan.waiting(ids)
        known, wanted = [], []
        for found in portion:
            held = revisions.get(found.file_id, set())
            self.counts.files += 1
            self.counts.bytes += found.revision.size or 0
            token = stored(found.revision.token, 512)
            # What is back as it was before a change is taken in anew: else its present state would count as an old one.
            if token in held and token in latest.get(found.file_id, held):
                self.counts.known += 1
                known.append(found)
            elif found.file_id in waiting:
                self.counts.waiting += 1
            else:
                self.counts.changed += bool(held)
                self.counts.new += not held
                self.counts.bytes_to_read += found.revision.size or 0
                wanted.append(found)
        self._plan.note_known([found.file_id for found in known])
        back = _gone([found.file_id for found in known])
        self._plan.note_back([found for found in known if found.file_id in back])
        self._plan.add(wanted)

    def _miss(self, seen: Seen, pool: ThreadPoolExecutor) -> None:
        """Find out which of the files of earlier surveys are gone: the source has to say so of each."""
        if self._unchanged == number_below(self._plan.root_id):
            return
        for page in pages_below(self._plan.root_id, PAGE):
            missing = seen.missing(page)
            missing -= _gone(missing)
            places = lookup(File, "file_id", "source_system", "item_id", file_id=missing)
            gone = [identity for identity, is_gone in pool.map(self._is_gone, places) if is_gone]
            self.counts.gone += len(gone)
            self._plan.note_gone(gone)

    def _is_gone(self, place: tuple[str, str, str]) -> tuple[str, bool]:
        identity, system, item_id = place
        try:
            self._source.revision(self._source.reopen(system, item_id))
        except SourceNotFound:
            return identity, True
        except SourceError:  # nobody knows: it may be in a folder that cannot be looked into
            pass
        return identity, False


def _portions(met: Mapping[str, Listed]) -> Iterator[dict[str, Listed]]:
    waiting = iter(met.items())
    while portion := dict(islice(waiting, PORTION)):
        yield portion


def _taken_last(root_id: str, versions: Collection[tuple[str, str, str]]) -> dict[str, set[str]]:
    """Return the revisions in which the last survey that planned it met a file, of those that have several."""
    revision_of = {version[:2]: version[2] for version in versions}
    times = Counter(file_id for file_id, _ in revision_of)
    among: dict[str, Collection[str]] = {"root_id": (root_id,), "file_id": {one for one in times if times[one] > 1}}
    found: dict[tuple[str, int], set[str]] = {}
    for identity, survey, revision in lookup(AdoptMember, "file_id", "survey", "seen_revision", **among):
        found.setdefault((identity, survey), set()).add(revision)
    for identity, survey, version in lookup(AdoptTaken, "file_id", "survey", "version_id", **among):
        found[identity, survey].add(revision_of[identity, version])
    return {identity: found[identity, survey] for identity, survey in sorted(found)}


def _gone(file_ids: Collection[str]) -> set[str]:
    """Return those that are known to be gone and were not met on a later day."""
    gone: dict[str, date] = {}
    for identity, day in lookup(FileGone, "file_id", "gone_on", file_id=file_ids):
        gone[identity] = max(day, gone.get(identity, day))
    for identity, day in lookup(FileName, "file_id", "named_on", file_id=gone.keys()):
        if identity in gone and day > gone[identity]:
            del gone[identity]
    return set(gone)
