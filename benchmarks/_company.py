"""The rows that years of reading leave in a catalogue, as ingest would have made them.

File `n` belongs to a person and is read ten times: on two days by two people each. Every fifth
file is a copy of its neighbour. All is computed from numbers, so the same call gives the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from populate import ingest
from populate.backup import tables as backup
from schemas import catalogue, people, sharing
from schemas.identity import account_id, file_id, identity, name_id, version_id

REALM = "lab.example.org"
SYSTEM = "nfs/filer/export"
DEPARTMENTS = 20
READS = 10  # of a file
BATCH = 1000  # accesses
FIRST_DAY = datetime(2020, 1, 1)
DAYS_OF_A_GROWTH = 60
STORE = "folder:/srv/store"
EPOCH, MILLISECOND = datetime(1970, 1, 1), timedelta(milliseconds=1)
READ = f"ok\t\tread_file\t{REALM}"
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Growth:
    """Files `first` to `last - 1`, read by `people` people, `known` of them from `earlier` growths."""

    first: int
    last: int
    people: int
    known: int
    earlier: int

    @property
    def accesses(self) -> range:
        """Numbers of the accesses."""
        return range(READS * self.first, READS * self.last)

    @property
    def batches(self) -> range:
        """Numbers of the deliveries; those of two growths do not touch."""
        return range(self.accesses.start // BATCH, -(-self.accesses.stop // BATCH))

    def owner(self, file: int) -> int:
        return file % self.people

    def reader(self, file: int, which: int) -> int:
        return (file + 1 + 7 * which + file // self.people) % self.people

    def at(self, place: int) -> datetime:
        """Return the time of the access at `place` of this growth."""
        start = FIRST_DAY + timedelta(days=DAYS_OF_A_GROWTH * self.earlier)
        return start + timedelta(days=DAYS_OF_A_GROWTH) * (place / len(self.accesses))

    def met(self, file: int) -> tuple[datetime, datetime]:
        """Return the times of the first read of either turn."""
        half, place = READS // 2, file - self.first
        return self.at(half * place), self.at(half * (self.last - self.first + place))


@lru_cache(maxsize=50_000)
def person(number: int) -> str:
    return account_id(REALM, f"person{number}@example.org")


@lru_cache(maxsize=4)
def path(file: int) -> str:
    return f"/srv/share/group {file % 97}/run {file % 1009}/m{file}.parquet"


@lru_cache(maxsize=2_000_000)
def file_key(file: int) -> str:
    return file_id(SYSTEM, path(file))


@lru_cache(maxsize=4)
def content(file: int) -> str:
    return identity("content", str(file - (file % 5 == 4))) * 2


@lru_cache(maxsize=4)
def version_key(file: int) -> str:
    return version_id(f"{file:x}-1", content(file))


@lru_cache(maxsize=4)
def batch_key(number: int) -> str:
    return identity("batch", str(number))


@lru_cache(maxsize=4)
def run_key(number: int) -> str:
    return identity("run", str(number))


def tables(growth: Growth) -> Iterator[tuple[Any, tuple[str, ...], Iterator[Row]]]:
    """Yield each table, parents first, with the names of columns and the rows that a growth adds.

    Rows come in the order of their key where that is random: databases then load them quickly.
    """
    by_key = sorted(range(growth.first, growth.last), key=file_key)
    if not growth.earlier:
        yield people.Department, ("department",), ((f"Department {n}",) for n in range(DEPARTMENTS))
        yield catalogue.SourceSystem, ("source_system", "source_kind"), iter([(SYSTEM, "file")])
        yield backup.ContentStore, ("store_id", "store_name"), iter([(identity("store", STORE), STORE)])
    yield from _people(range(growth.known, growth.people))
    yield from _catalogue(growth, by_key)
    yield from _sharing(growth)
    yield from _backups(growth)


def _people(newcomers: range) -> Iterator[tuple[Any, tuple[str, ...], Iterator[Row]]]:
    yield (
        people.Person,
        ("person_id", "full_name", "person_kind"),
        ((person(n), f"Person {n}", "person") for n in newcomers),
    )
    yield (
        people.Account,
        ("account_id", "realm", "login", "person_id"),
        ((person(n), REALM, f"person{n}@example.org", person(n)) for n in newcomers),
    )
    yield (
        people.Membership,
        ("person_id", "member_since", "department"),
        ((person(n), FIRST_DAY.date(), f"Department {n % DEPARTMENTS}") for n in newcomers),
    )


def _catalogue(growth: Growth, by_key: list[int]) -> Iterator[tuple[Any, tuple[str, ...], Iterator[Row]]]:
    yield catalogue.File, ("file_id", "source_system", "item_id"), ((file_key(n), SYSTEM, path(n)) for n in by_key)
    yield (
        catalogue.FileName,
        ("file_id", "named_on", "name_id", "file_name", "file_path"),
        (
            (file_key(n), met.date(), name_id(path(n)), path(n).rpartition("/")[2], path(n))
            for n in by_key
            for met in growth.met(n)
        ),
    )
    yield (
        catalogue.FileOwner,
        ("file_id", "owner_since", "account_id"),
        ((file_key(n), met.date(), person(growth.owner(n))) for n in by_key for met in growth.met(n)),
    )
    yield catalogue.Blob, ("sha256", "blob_size"), ((content(n), 1000 + n) for n in by_key if n % 5 != 4)
    yield (
        catalogue.Version,
        ("file_id", "version_id", "sha256", "revision"),
        ((file_key(n), version_key(n), content(n), f"{n:x}-1") for n in by_key),
    )


def _sharing(growth: Growth) -> Iterator[tuple[Any, tuple[str, ...], Iterator[Row]]]:
    yield (
        sharing.AccessBatch,
        ("batch_id", "access_count", "delivered_at", "delivered_from"),
        ((batch_key(n), BATCH, _started(growth, n), "host") for n in growth.batches),
    )
    names = (
        *("started_at", "host", "entry_point", "argv", "repository", "commit_id", "branch", "dirty"),
        *("python_version", "package_version", "environment"),
    )
    facts = ("host", "/srv/code/analyse.py", "[]", "https://git.example.org/code", "c" * 40, "main", 0, "3.11", "1", "")
    yield (
        sharing.AccessRun,
        ("batch_id", "execution_id", "run_realm", "run_login", *names),
        ((batch_key(n), run_key(n), REALM, _runner(n), _started(growth, n), *facts) for n in growth.batches),
    )
    yield sharing.Access, ACCESS, _accesses(growth)
    yield (
        sharing.Execution,
        ("execution_id", "account_id", *names),
        ((run_key(n), account_id(REALM, _runner(n)), _started(growth, n), *facts) for n in growth.batches),
    )
    yield sharing.ShareEdge, ("producer_id", "consumer_id", "file_id", "shared_on", "channel"), _edges(growth)
    yield ingest.Ingest, ("batch_id", "ingested_at"), ((batch_key(n), _started(growth, n)) for n in growth.batches)


def _runner(batch: int) -> str:
    return f"person{batch % 100}@example.org"


def _started(growth: Growth, batch: int) -> datetime:
    return growth.at(BATCH * batch - growth.accesses.start)


ACCESS = (
    *("event_id", "batch_id", "execution_id", "accessed_at", "sequence", "outcome", "message", "function_name"),
    *("account_realm", "account_login", "account_id", "known_by", "on_behalf_of", "source_system", "source_kind"),
    *("url", "item_id", "file_id", "file_name", "file_path", "owner_realm", "owner_login", "revision", "version_id"),
    *("sha256", "access_size", "from_cache", "set_file_id", "set_version_id", "set_path"),
)


def _accesses(growth: Growth) -> Iterator[Row]:
    """Yield the accesses in the order of their times: half of each file's reads, then the other half.

    What the reads of a file have in common is joined only once: such a field holds several columns.
    """
    half, files = READS // 2, range(growth.first, growth.last)
    step = timedelta(days=DAYS_OF_A_GROWTH) / len(growth.accesses)
    at, number = growth.at(0), growth.accesses.start
    for turn in range(2):
        for file in files:
            where, readers = path(file), [growth.reader(file, 2 * turn + which) for which in range(2)]
            who = [f"{READ}\tperson{reader}@example.org\t{person(reader)}\tsetting" for reader in readers]
            what = _joined(
                *("", SYSTEM, "file", f"file://{where}", where, file_key(file), where.rpartition("/")[2], where, REALM),
                *(f"person{growth.owner(file)}@example.org", f"{file:x}-1", version_key(file), content(file)),
                *(1000 + file, 0, "", "", ""),
            )
            for read in range(half):
                batch = number // BATCH
                event = f"{int((at - EPOCH) / MILLISECOND):012x}{number:020x}"
                yield event, batch_key(batch), run_key(batch), at, number, who[read % 2], what
                at, number = at + step, number + 1


def _joined(*values: object) -> str:
    return "\t".join(map(str, values))


def _edges(growth: Growth) -> Iterator[Row]:
    """Yield who shared with whom in the order of the key, so that only one person's rows are sorted at a time."""
    for owner in sorted(range(growth.people), key=person):
        first = growth.first + (owner - growth.first) % growth.people
        files = range(first, growth.last, growth.people)
        yield from sorted(
            {
                (person(owner), person(reader), file_key(file), met.date(), "read")
                for file in files
                for turn, met in enumerate(growth.met(file))
                for reader in (growth.reader(file, 2 * turn), growth.reader(file, 2 * turn + 1))
                if reader != owner
            }
        )


def _backups(growth: Growth) -> Iterator[tuple[Any, tuple[str, ...], Iterator[Row]]]:
    members = range(growth.first, growth.last)
    per_batch = BATCH // (READS // 2)  # files that a delivery of the first turn brings
    first = growth.batches.start
    keys = [(batch_key(first + n), 0, 1) for n in range(-(-len(members) // per_batch))]
    yield ingest.BackupBatch, ("batch_id", "part", "attempt"), iter(keys)
    yield (
        ingest.BackupMember,
        ("batch_id", "part", "attempt", "file_id", "version_id"),
        ((*keys[place // per_batch], file_key(n), version_key(n)) for place, n in enumerate(members)),
    )
    done = ((*key, growth.at(0)) for key in keys)
    yield backup.Backup, ("batch_id", "part", "attempt", "backed_up_at"), done
    store = identity("store", STORE)
    placed = sorted({content(n): n for n in members if n % 5 != 4}.items())
    yield (
        backup.Placement,
        ("sha256", "store_id", "object_name", "place_offset", "place_length"),
        ((sha, store, f"objects/{sha[:2]}/{sha[2:4]}/{sha}", 0, 1000 + n) for sha, n in placed),
    )
