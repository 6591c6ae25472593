"""Shares that are catalogued as a whole: what was found there, and the batches in which it is taken in.

A survey lists a share and divides what is new or changed into batches; `Adopt` takes a batch
in. Nobody has read these files, so there is no access, no run and no share edge.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from data_platform.errors import SourceTimeout, SourceUnavailable
from populate import facts
from populate.adopt.contents import Harvest, Intake, Member
from populate.adopt.reach import LeftToOthers, Origin, Reach
from populate.backup.erased import erased
from populate.backup.removal import latest_removal
from populate.backup.tables import Placement, assert_recorded, ready_store
from populate.lookup import add, as_text, from_text, lookup, unknown
from populate.reaching import WithinReach
from schemas.catalogue import Blob, File, SourceSystem, Version
from schemas.engine import dj
from schemas.identity import identity, version_id

schema = dj.Schema()

# What `Member` and `Origin` hold, in their order; a place is an origin without rates.
MEMBER = ("file_id", "source_kind", "source_system", "item_id", "seen_revision", "seen_size")
PLACE = ("root_kind", "root_system", "root_item", "root_url")
ORIGIN = (*PLACE, "files_per_second", "bytes_per_second")


@schema
class AdoptRoot(dj.Manual):
    definition = """
    # A folder, share or prefix that is catalogued as a whole
    root_id : char(32) # identity of source system and item
    ---
    -> SourceSystem.proj(root_system='source_system')
    root_item : varchar(4096) # the source's own stable id
    root_url : varchar(4096) # link that opens it, without secrets
    """


@schema
class AdoptFile(dj.Manual):
    definition = """
    # A file that was found below a root, whenever that was
    -> AdoptRoot
    -> File
    """


@schema
class AdoptSurvey(dj.Manual):
    definition = """
    # A look at everything below a root
    -> AdoptRoot
    survey : int32 # from 1
    ---
    surveyed_at : datetime(6) # UTC, when it began
    files_per_second : float64 # greatest rate at which its batches are taken in; 0 = any
    bytes_per_second : float64 # greatest rate at which its batches are taken in; 0 = any
    """


@schema
class AdoptSurveyEnd(dj.Manual):
    definition = """
    # A survey has seen everything
    -> AdoptSurvey
    ---
    files_found : int64
    bytes_found : int64 # of files whose size the source tells
    files_new : int64 # never taken in before
    files_changed : int64 # of another revision than those taken in
    files_gone : int64 # found earlier and not there any more
    """


@schema
class AdoptRefusal(dj.Manual):
    definition = """
    # A folder or file that a survey could not look at
    -> AdoptSurvey
    path_id : char(32) # identity of the path
    ---
    refused_path : varchar(4096) # within the root
    refusal : varchar(64) # name of the error
    refusal_message : varchar(512) # text of the error, secrets removed
    """


@schema
class AdoptGone(dj.Manual):
    definition = """
    # A file of earlier surveys of which the source said at this one that it is not there any more
    -> AdoptSurvey
    -> File
    """


@schema
class AdoptBack(dj.Manual):
    definition = """
    # A file that was gone, and that a survey met again as it had been
    -> AdoptSurvey
    -> File
    """


@schema
class AdoptBatch(dj.Manual):
    definition = """
    # Files of a survey that are taken in together
    -> AdoptSurvey
    part : int32 # from 0
    ---
    after_survey : int32 # survey of the batch that has to be taken in before, which keeps a rate; -1 = none
    after_part : int32 # part of that survey; -1 = none
    """


@schema
class AdoptMember(dj.Manual):
    definition = """
    # A file to take in
    -> AdoptBatch
    -> File
    ---
    seen_revision : varchar(512) # the source's token when it was found
    seen_size : int64 # bytes when it was found; -1 if the source does not tell
    index (file_id)
    """


@schema
class Adopt(WithinReach, dj.Imported):
    definition = """
    # The files of a batch are in the catalogue and in the store, but for those that failed
    -> AdoptBatch
    ---
    adopted_at : datetime(6) # UTC, by the clock of the worker
    files_taken : int32 # whose bytes were read
    bytes_taken : int64 # that were read
    """

    _reach: Reach | None = None

    @property
    def key_source(self) -> Any:
        """Batches, but of those that keep a rate only one at a time, whoever works on it."""
        done = Adopt().proj(after_survey="survey", after_part="part")
        batches = AdoptBatch().proj("after_survey", "after_part")
        # Not the same attributes, says DataJoint, and rightly so: that is what turns are about.
        return batches.restrict(["after_part < 0", done], semantic_check=False).proj()

    def out_of_reach(self) -> list[dict[str, Any]]:
        """Return the roots of waiting jobs that cannot be read from here, as restrictions: others may reach them."""
        kinds = SourceSystem.proj(root_system="source_system", root_kind="source_kind")
        waiting = AdoptRoot().restrict(self.jobs.pending.proj(), semantic_check=False) * kinds
        roots = zip(*(column.tolist() for column in waiting.to_arrays("root_id", *PLACE)), strict=True)
        return [{"root_id": root_id} for root_id, *place in roots if not self._reached.has(Origin(*place))]

    @property
    def _reached(self) -> Reach:
        if self._reach is None:
            self._reach = Reach(self.in_force)
        return self._reach

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Return an array for each of `ORIGIN`, of one element, then `MEMBER` of each file, as a text."""
        kinds = SourceSystem.proj(root_system="source_system", root_kind="source_kind")
        origin = (AdoptSurvey() & key) * AdoptRoot * kinds
        members = (AdoptMember() & key) * File * SourceSystem
        return (*origin.proj(*ORIGIN).to_arrays(*ORIGIN), as_text(members, *MEMBER))

    def make_compute(self, key: dict[str, Any], *fetched: Any) -> tuple[Any, ...]:
        """Read the files and put what has no place yet into the store; harmless to repeat."""
        *columns, files = fetched
        origin = Origin(*(column.tolist()[0] for column in columns))
        members = [Member(*member) for member in from_text(files)]
        settings = self.in_force
        store = ready_store(settings)
        store_id = identity("store", store.name)
        since, counted = latest_removal(store_id), set[str]()

        def placed(hashes: set[str]) -> set[str]:
            there = {sha256 for (sha256,) in lookup(Placement, "sha256", sha256=hashes, store_id=(store_id,))}
            gone = erased(hashes)  # of those none is to come back
            counted.update(there - gone)
            return there | gone

        try:
            return store.name, Intake(settings, store, origin, placed).take(members), since, counted
        except (SourceUnavailable, SourceTimeout) as error:
            self._reached.lost(replace(origin, files_per_second=0.0, bytes_per_second=0.0), error)
            raise LeftToOthers(str(error)) from error

    def make_insert(
        self, key: dict[str, Any], store_name: str, harvest: Harvest, since: int, counted: set[str]
    ) -> None:
        """Record contents, versions, places, and which files failed."""
        taken = _accesses(harvest)
        add(Blob, unknown(Blob, facts.blobs(taken), "sha256"))
        add(Version, unknown(Version, facts.versions(taken), "file_id", "version_id"))
        assert_recorded(store_name, harvest.places, since, counted)
        add(AdoptTaken, [{**_batch(key), **_named(version, "file_id", "version_id")} for version in taken])
        add(AdoptFailure, _failures(key, harvest))
        now = datetime.now(UTC).replace(tzinfo=None)
        counts = {"files_taken": len(taken), "bytes_taken": sum(one.size for one in harvest.taken.values())}
        # A worker that lost its connection may meet its own row, written by the one that took over.
        self.insert1({**key, "adopted_at": now, **counts}, skip_duplicates=True)


@schema
class AdoptTaken(dj.Manual):
    definition = """
    # The version of a file that was taken in; another one than was seen, if the file was changed in between
    -> AdoptMember
    ---
    -> Version
    """


@schema
class AdoptFailure(dj.Manual):
    definition = """
    # A file that could not be taken in
    -> AdoptMember
    ---
    failure_permanent : bool # trying again cannot help
    failure : varchar(64) # name of the error
    failure_message : varchar(512) # text of the error, secrets removed
    """


def _accesses(harvest: Harvest) -> facts.Rows:
    """Return what `populate.facts` reads of an access, for each file that was taken in."""
    return [
        {
            "file_id": file_id,
            "version_id": version_id(taken.revision, taken.sha256),
            "revision": facts.stored(taken.revision, 512),
            "sha256": taken.sha256,
            "access_size": taken.size,
        }
        for file_id, taken in harvest.taken.items()
    ]


def _batch(key: dict[str, Any]) -> dict[str, Any]:
    return _named(key, "root_id", "survey", "part")


def _named(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: row[name] for name in names}


def _failures(key: dict[str, Any], harvest: Harvest) -> facts.Rows:
    return [
        {
            **_batch(key),
            "file_id": file_id,
            "failure_permanent": failure.permanent,
            "failure": failure.name,
            "failure_message": failure.message,
        }
        for file_id, failure in sorted(harvest.failures.items())
    ]
