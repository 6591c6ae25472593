"""The demo company at full size: its people, files, runs and reads as ingest would have made them, all from numbers.

Everybody has as many files as anybody else, of their department's subjects, and eight friends whose files they
read: five of their own department, two of one that it works with, one of any. A session is one run of a script
that reads ten files. Every fifth file is a copy of its neighbour's; every tenth has a second version, which takes
the place of the first in the middle of the time.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate
from typing import Any

from populate import ingest
from populate.backup import tables as backup
from populate.backup import verification
from schemas import catalogue, following, output, people, sharing
from schemas.identity import account_id, file_id, identity, name_id, version_id

REALM, SYSTEM, STORE = "acme", "nfs/filer/shares", "folder:/srv/store"
READS = 10  # of a run
PER_DELIVERY = 100  # runs
PER_BACKUP = 200  # versions
FRIENDS = 8
SPAN = timedelta(days=150)
EPOCH, MILLISECOND = datetime(1970, 1, 1), timedelta(milliseconds=1)
FIRST = (
    *("Amy", "Ben", "Carla", "Deniz", "Elif", "Farid", "Grace", "Hugo", "Ines", "Jun"),
    *("Kofi", "Lena", "Mateo", "Nora", "Omar", "Paula", "Quentin", "Rosa", "Sami", "Tara"),
)
LAST = ("Larsen", "Costa", "Meyer", "Yilmaz", "Okoye", "Rahimi", "Holm", "Dubois", "Pires", "Tanaka", "Mensah", "Vogel")
FIELDS = (
    *("Clinical", "Biostatistics", "Flow cytometry", "Genomics", "Pharmacology", "Data science", "Manufacturing"),
    *("Quality", "Imaging", "Proteomics"),
)
PLACES = ("Basel", "Lyon", "Oslo", "Kyoto", "Boston", "Lagos", "Porto", "Ghent", "Turin", "Izmir")
SUBJECTS = (
    *("trial visits", "survival", "panel gating", "variants", "dose response", "model features", "batch records"),
    *("deviations", "microscope tiles", "peptide counts", "adverse events", "toxicity screen", "normalised counts"),
)
SCRIPTS = ("summary.py", "figures.ipynb", "quality_check.py", "fit_model.py", "weekly_report.py")
KINDS = ("csv", "parquet", "xlsx", "fcs", "pdf")
Row = tuple[Any, ...]
Filled = tuple[Any, tuple[str, ...], Iterator[Row]]


@dataclass
class DemoCompany:
    """A company of so many people, departments and files, who read until yesterday."""

    people: int = 5_000
    departments: int = 50
    files: int = 200_000
    accesses: int = 2_000_000
    today: date = field(default_factory=lambda: datetime.now(UTC).date())

    def __post_init__(self) -> None:
        self.start = datetime.combine(self.today, datetime.min.time()) - SPAN - timedelta(days=1)
        self.each = self.files // self.people  # files of a person
        self.sessions = self.accesses // READS // self.people  # of a person
        names = [f"{FIELDS[n % len(FIELDS)]} {PLACES[n // len(FIELDS) % len(PLACES)]}" for n in range(self.departments)]
        self.names = (
            names if self.departments <= len(FIELDS) * len(PLACES) else [f"{x} {n}" for n, x in enumerate(names)]
        )
        bounds = list(
            accumulate(1 + 2 * (n * 7 % self.departments) / self.departments for n in range(self.departments))
        )
        self.where = [bisect(bounds, bounds[-1] * (n * 0.6180339887 % 1)) for n in range(self.people)]
        self.staff: list[list[int]] = [[] for _ in range(self.departments)]
        for person, department in enumerate(self.where):
            self.staff[department].append(person)
        self.ids = [account_id(REALM, self.login(n)) for n in range(self.people)]
        self.file_ids = [file_id(SYSTEM, self.path(n)) for n in range(self.files)]

    def name(self, person: int) -> str:
        return f"{FIRST[person % len(FIRST)]} {LAST[person // len(FIRST) % len(LAST)]} {person:04}"

    def login(self, person: int) -> str:
        return self.name(person).lower().replace(" ", ".")

    def path(self, file: int) -> str:
        owner, number = file % self.people, file // self.people
        subject = SUBJECTS[(self.where[owner] + number % 4) % len(SUBJECTS)]
        folder = f"/shares/{self.names[self.where[owner]]}/{self.login(owner)}"
        return f"{folder}/{subject} {2024 + number % 3} {file:06}.{KINDS[number % len(KINDS)]}"

    def friend(self, person: int, which: int) -> int:
        """Return whose files somebody reads: mostly of their own department, never their own."""
        home = self.where[person]
        other = home if which < 5 else (home // 3 * 3 + (home + 1) % 3) if which < 7 else 31 * person + which
        staff = self.staff[other % self.departments] or self.staff[home]
        found = staff[(person * (2 * which + 3) + which) % len(staff)]
        return found if found != person else (person + 1) % self.people

    def second(self, file: int) -> bool:
        return file % 10 == 3

    def content(self, file: int, version: int) -> str:
        return identity("content", str(file - (file % 5 == 4)), str(version)) * 2

    def version(self, file: int, version: int) -> str:
        return version_id(f"{version}-{file:x}", self.content(file, version))

    def size(self, file: int) -> int:
        return 2_000 + (file - (file % 5 == 4)) * 7919 % 40_000_000

    def at(self, session: int, person: int) -> datetime:
        """Return when a session of a person begins; sessions are in the order of their times."""
        return self.start + SPAN * ((session + person / self.people) / self.sessions)

    def read_in(self, session: int, person: int) -> list[int]:
        """Return the files that somebody reads in a session: nine of friends, one of their own."""
        of = [self.friend(person, (session + n) % FRIENDS) for n in range(READS - 1)] + [person]
        return [owner + self.people * ((session + 3 * n) % self.each) for n, owner in enumerate(of)]

    def runs(self) -> Iterator[tuple[int, int, int]]:
        """Yield number, session and person of each run."""
        for session in range(self.sessions):
            for person in range(self.people):
                yield session * self.people + person, session, person

    def contents(self) -> list[tuple[str, int]]:
        """Return each content with a file that has it, in the order of the hashes."""
        return sorted(
            {self.content(n, v): n for n in range(self.files) for v in range(1 + self.second(n)) if n % 5 != 4}.items()
        )

    def tables(self) -> Iterator[Filled]:
        """Yield each table, parents first, with the names of columns and its rows."""
        yield people.Department, ("department",), ((name,) for name in self.names)
        everybody = range(self.people)
        yield (
            people.Person,
            ("person_id", "full_name", "person_kind"),
            ((self.ids[n], self.name(n), "person") for n in everybody),
        )
        yield (
            people.Account,
            ("account_id", "realm", "login", "person_id"),
            ((self.ids[n], REALM, self.login(n), self.ids[n]) for n in everybody),
        )
        worked = ((self.ids[n], date(2024, 1, 1), self.names[self.where[n]], "Scientist") for n in everybody)
        yield people.Membership, ("person_id", "member_since", "department", "title"), worked
        left = ((self.ids[n], self.today - timedelta(days=20)) for n in range(7, self.people, 97))
        yield people.Departure, ("person_id", "departed_on"), left
        yield from self._files()
        yield from self._reads()
        yield from self._grants()
        yield from self._backups()

    def _files(self) -> Iterator[Filled]:
        order = sorted(range(self.files), key=self.file_ids.__getitem__)
        met, ids = self.start.date(), self.file_ids
        yield catalogue.SourceSystem, ("source_system", "source_kind"), iter([(SYSTEM, "file")])
        yield catalogue.File, ("file_id", "source_system", "item_id"), ((ids[n], SYSTEM, self.path(n)) for n in order)
        named = ((n, self.path(n)) for n in order)
        yield (
            catalogue.FileName,
            ("file_id", "named_on", "name_id", "file_name", "file_path"),
            ((ids[n], met, name_id(path), path.rpartition("/")[2], path) for n, path in named),
        )
        owned = ((ids[n], met, self.ids[n % self.people]) for n in order)
        yield catalogue.FileOwner, ("file_id", "owner_since", "account_id"), owned
        yield catalogue.Blob, ("sha256", "blob_size"), ((sha, self.size(n)) for sha, n in self.contents())
        yield (
            catalogue.Version,
            ("file_id", "version_id", "sha256", "revision"),
            (
                (ids[n], self.version(n, v), self.content(n, v), f"{v}-{n:x}")
                for n in order
                for v in range(1 + self.second(n))
            ),
        )

    def _reads(self) -> Iterator[Filled]:
        deliveries = range(-(-self.sessions * self.people // PER_DELIVERY))

        def delivered(n: int) -> datetime:
            return self.at(*divmod(n * PER_DELIVERY, self.people)) + timedelta(minutes=5)

        yield (
            sharing.AccessBatch,
            ("batch_id", "access_count", "delivered_at", "delivered_from"),
            ((_batch(n), PER_DELIVERY * READS, delivered(n), f"node{n % 20}") for n in deliveries),
        )
        names = ("started_at", "host", "entry_point", "argv", "repository", "commit_id", "branch", "dirty",
                 "python_version", "package_version", "environment")  # fmt: skip
        yield (
            sharing.AccessRun,
            ("batch_id", "execution_id", "run_realm", "run_login", *names),
            ((_batch(n // PER_DELIVERY), _run(n), REALM, self.login(p), *self._facts(s, p)) for n, s, p in self.runs()),
        )
        yield sharing.Access, ACCESS, self._accesses()
        made = sorted((_run(n), s, p) for n, s, p in self.runs())
        yield (
            sharing.Execution,
            ("execution_id", "account_id", *names),
            ((run, self.ids[p], *self._facts(s, p)) for run, s, p in made),
        )
        del made
        yield (
            sharing.ShareEdge,
            ("producer_id", "consumer_id", "file_id", "shared_on", "channel"),
            self._edges(),
        )
        yield ingest.Ingest, ("batch_id", "ingested_at"), ((_batch(n), delivered(n)) for n in deliveries)
        yield output.Output, OUTPUT, self._outputs()

    def _facts(self, session: int, person: int) -> Row:
        script, where = SCRIPTS[(session + person) % len(SCRIPTS)], self.where[person]
        code = f"https://git.example.org/acme/analyses-{where}.git", identity("commit", str(session)) + "0" * 8
        return self.at(session, person), f"node{person % 20}", script, "[]", *code, "main", 0, "3.11", "1", ""

    def _accesses(self) -> Iterator[Row]:
        step = timedelta(seconds=20)
        for number, session, person in self.runs():
            at = self.at(session, person)
            who = (REALM, self.login(person), self.ids[person], "setting")
            for place, file in enumerate(self.read_in(session, person)):
                moment, path = at + place * step, self.path(file)
                version = int(self.second(file) and 2 * session >= self.sessions)
                event = f"{int((moment - EPOCH) / MILLISECOND):012x}{READS * number + place:020x}"
                yield (
                    *(event, _batch(number // PER_DELIVERY), _run(number), moment, place, "ok", "", "read_file", *who),
                    *("", SYSTEM, "file", f"file://{path}", path, self.file_ids[file], path.rpartition("/")[2], path),
                    *(REALM, self.login(file % self.people), f"{version}-{file:x}", self.version(file, version)),
                    *(self.content(file, version), self.size(file), 0, "", "", ""),
                )

    def _edges(self) -> Iterator[Row]:
        seen = {
            (file % self.people, person, file, self.at(session, person).toordinal())
            for _, session, person in self.runs()
            for file in self.read_in(session, person)
            if file % self.people != person
        }
        for owner, reader, file, day in sorted(seen, key=lambda row: (self.ids[row[0]], self.ids[row[1]])):
            yield self.ids[owner], self.ids[reader], self.file_ids[file], date.fromordinal(day), "read"

    def _outputs(self) -> Iterator[Row]:
        """Yield a result for every twentieth run: the file of one's own that one reads in the next session."""
        for number, session, person in self.runs():
            if number % 20 == 0:
                file = self.read_in(session + 1, person)[-1]
                path, at = self.path(file), self.at(session, person) + timedelta(minutes=10)
                version = int(self.second(file) and 2 * session >= self.sessions)
                yield (
                    *(identity("output", str(number)), _batch(number // PER_DELIVERY), _run(number), at, "", REALM),
                    *(self.login(person), self.ids[person], SYSTEM, path, self.file_ids[file]),
                    *(path.rpartition("/")[2], path, self.content(file, version), self.size(file)),
                )

    def _grants(self) -> Iterator[Filled]:
        """Yield grants for every fourth file: to a colleague, and of some of these by a link to all."""

        def grants() -> Iterator[tuple[int, str, str, str, str]]:
            for file in range(0, self.files, 4):
                to = self.friend(file % self.people, 7)
                yield file, self.ids[to], self.login(to), "account", ""
                if file % 80 == 0:
                    scope = "anonymous" if file % 160 else "organization"
                    yield file, identity("link", str(file)), scope, "link", scope

        rows = list(grants())
        yield (
            sharing.Permission,
            ("file_id", "grantee_id", "granted_since", "grantee", "grantee_kind", "permission_level"),
            ((self.file_ids[n], to, self.start, name, kind, "read") for n, to, name, kind, _ in rows),
        )
        yield (
            following.PermissionDetail,
            ("file_id", "grantee_id", "granted_since", "source_permission", "link_scope", "link_type", "is_inherited",
             "is_invitation"),
            ((self.file_ids[n], to, self.start, str(n), scope, "view" if scope else "", 0, 0)
             for n, to, _, _, scope in rows),
        )  # fmt: skip

    def _backups(self) -> Iterator[Filled]:
        versions = [(n, v) for n in range(self.files) for v in range(1 + self.second(n))]
        keys = [(_batch(n), 0, 1) for n in range(-(-len(versions) // PER_BACKUP))]
        yield backup.ContentStore, ("store_id", "store_name"), iter([(identity("store", STORE), STORE)])
        yield ingest.BackupBatch, ("batch_id", "part", "attempt"), iter(keys)
        yield (
            ingest.BackupMember,
            ("batch_id", "part", "attempt", "file_id", "version_id"),
            (
                (*keys[place // PER_BACKUP], self.file_ids[n], self.version(n, v))
                for place, (n, v) in enumerate(versions)
            ),
        )
        yield backup.Backup, ("batch_id", "part", "attempt", "backed_up_at"), ((*key, self.start) for key in keys)
        store = identity("store", STORE)
        yield (
            backup.Placement,
            ("sha256", "store_id", "object_name", "place_offset", "place_length"),
            ((sha, store, f"objects/{sha[:2]}/{sha[2:4]}/{sha}", 0, self.size(n)) for sha, n in self.contents()),
        )
        yield (
            verification.Verification,
            ("sha256", "store_id", "verified_on"),
            ((sha, store, self.today - timedelta(days=n % 100)) for sha, n in self.contents()),
        )


ACCESS = (
    *("event_id", "batch_id", "execution_id", "accessed_at", "sequence", "outcome", "message", "function_name"),
    *("account_realm", "account_login", "account_id", "known_by", "on_behalf_of", "source_system", "source_kind"),
    *("url", "item_id", "file_id", "file_name", "file_path", "owner_realm", "owner_login", "revision", "version_id"),
    *("sha256", "access_size", "from_cache", "set_file_id", "set_version_id", "set_path"),
)
OUTPUT = (
    *("event_id", "batch_id", "execution_id", "written_at", "function_name", "account_realm", "account_login"),
    *("account_id", "source_system", "item_id", "file_id", "file_name", "file_path", "sha256", "output_size"),
)


def _batch(number: int) -> str:
    return identity("batch", str(number))


def _run(number: int) -> str:
    return identity("run", str(number))
