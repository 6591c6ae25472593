"""An invented company to take pictures of: a hundred people who share files over ten weeks, all from numbers."""

from __future__ import annotations

import random
import shutil
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from data_platform.settings import settings
from populate.pipeline import bind_all
from populate.retention.keeping import add_rule, hold
from readers.file import FileSource
from schemas.binding import Binding
from schemas.identity import account_id, file_id, identity, version_id
from schemas.output import Output
from schemas.people import Account, Department, Membership, Person
from schemas.sharing import Access, AccessBatch, AccessRun

REALM, ME = "acme", "amy.larsen"
HERE = "/shares"
WEEKS = 10
FIRST = (
    *("Amy", "Ben", "Carla", "Deniz", "Elif", "Farid", "Grace", "Hugo", "Ines", "Jun"),
    *("Kofi", "Lena", "Mateo", "Nora", "Omar", "Paula", "Quentin", "Rosa", "Sami", "Tara"),
)
LAST = (
    *("Larsen", "Costa", "Meyer", "Yilmaz", "Okoye", "Rahimi", "Holm", "Dubois"),
    *("Pires", "Tanaka", "Mensah", "Vogel", "Silva", "Berg", "Haddad"),
)
DEPARTMENTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "Clinical": ("trial visits", ("trial-7 visits", "trial-7 adverse events", "trial-9 enrolment", "site list")),
    "Biostatistics": ("survival", ("trial-7 survival", "interim analysis", "randomisation", "power tables")),
    "Flow cytometry": ("panel", ("ITX panel A", "ITX panel B", "compensation", "T-cell gating")),
    "Genomics": ("variants", ("cohort variants", "RNA counts", "normalised counts", "sample sheet")),
    "Pharmacology": ("dose response", ("dose response", "PK profiles", "compound library", "toxicity screen")),
    "Data science": ("features", ("model features", "responder scores", "training set", "benchmark results")),
    "Manufacturing": ("batch", ("batch records", "yield by lot", "stability", "sensor log")),
    "Quality": ("audit", ("deviations", "release tests", "supplier audits", "calibration")),
}
LIKES = {
    "Clinical": ("Biostatistics", "Pharmacology"),
    "Biostatistics": ("Clinical", "Data science", "Genomics"),
    "Flow cytometry": ("Genomics", "Data science"),
    "Genomics": ("Flow cytometry", "Data science", "Biostatistics"),
    "Pharmacology": ("Clinical", "Flow cytometry"),
    "Data science": ("Genomics", "Biostatistics", "Clinical"),
    "Manufacturing": ("Quality",),
    "Quality": ("Manufacturing",),
}
TITLES = ("Scientist", "Senior scientist", "Data analyst", "Research associate", "Principal scientist")
SCRIPTS = ("summary.py", "figures.ipynb", "quality_check.py", "fit_model.py", "weekly_report.py")


class Company:
    """Makes the rows; the same each time but for the day."""

    def __init__(self, binding: Binding, folder: Path) -> None:
        self.binding, self.folder = binding, folder
        self.luck = random.Random(7)
        self.source = FileSource(settings())
        self.today = datetime.now(UTC).replace(tzinfo=None, hour=9, minute=0, second=0, microsecond=0)
        count = 13 * len(DEPARTMENTS)
        names = [f"{FIRST[n % len(FIRST)]} {LAST[(n + n // len(LAST)) % len(LAST)]}" for n in range(count)]
        self.people = {login(name): (name, list(DEPARTMENTS)[n % len(DEPARTMENTS)]) for n, name in enumerate(names)}
        self.files: dict[str, list[tuple[str, str]]] = {}
        self.events = 0

    def hire(self) -> None:
        """Enter the people."""
        Department.insert({"department": name} for name in DEPARTMENTS)
        for number, (who, (name, department)) in enumerate(self.people.items()):
            key = account_id(REALM, who)
            Person.insert1({"person_id": key, "full_name": name, "person_kind": "person"})
            Account.insert1({"account_id": key, "realm": REALM, "login": who, "person_id": key})
            since = {"person_id": key, "member_since": date(2025, 1, 1), "department": department}
            Membership.insert1({**since, "title": TITLES[number % len(TITLES)]})

    def write(self) -> None:
        """Write the files of each department."""
        for department, (_, subjects) in DEPARTMENTS.items():
            staff = [who for who, (_, where) in self.people.items() if where == department]
            self.files[department] = []
            for number, subject in enumerate(subjects * 3):
                owner = staff[number % 4]
                name = f"{subject} {2024 + number // len(subjects)}.csv"
                self.fill(self.folder / department / owner / name, rows=120 + 40 * number)
                self.files[department].append((owner, name))

    def copy(self) -> None:
        """Let departments keep copies of what they use of others."""
        for department, others in LIKES.items():
            (owner, _), (theirs, name) = self.files[department][0], self.files[others[0]][5]
            copied = f"copy of {name}"
            shutil.copyfile(self.folder / others[0] / theirs / name, self.folder / department / owner / copied)
            self.files[department].append((owner, copied))

    def fill(self, path: Path, rows: int) -> None:
        """Write one file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        luck = random.Random(f"{path.name} {rows}")
        lines = ["patient,visit,site,dose_mg,response,responder"]
        for number in range(rows):
            dose = luck.choice((0, 25, 50, 100))
            response = luck.gauss(40 + dose / 4, 9)
            line = (
                f"P{number // 4:04}",
                number % 4 + 1,
                luck.choice(("Basel", "Lyon", "Oslo")),
                dose,
                f"{response:.1f}",
            )
            lines.append(",".join(map(str, (*line, "yes" if response > 55 else "no"))))
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def work(self) -> None:
        """Let everybody read for ten weeks: of their own department, and of those that it works with."""
        for who, (_, department) in self.people.items():
            own = self.files[department]
            others = [(other, *file) for other in LIKES[department] for file in self.files[other]]
            read = [(department, *self.luck.choice(own)) for _ in range(4)]
            read += self.luck.sample(others, 3)
            weeks = sorted(self.luck.sample(range(WEEKS), 4))
            self.deliver(who, self.luck.choice(SCRIPTS), [(one, week) for one in read for week in weeks])

    def chain(self) -> None:
        """Let one result be made of another's, so that there is something to trace."""
        raw, made = self.files["Genomics"][1], self.files["Genomics"][2]
        scores = self.files["Data science"][1]
        run = self.deliver(raw[0], "normalise.py", [(("Genomics", *raw), 8)])
        self.wrote(run, raw[0], ("Genomics", *made), 8)
        run = self.deliver(
            ME, "score_responders.py", [(("Genomics", *made), 9), (("Clinical", *self.files["Clinical"][0]), 9)]
        )
        self.wrote(run, ME, ("Data science", *scores), 9)
        self.deliver(ME, "check.py", [(("Data science", *scores), 9), (("Genomics", *made), 9)])

    def deliver(self, who: str, script: str, reads: list[tuple[tuple[str, str, str], int]]) -> str:
        """Deliver the reads of a run."""
        batch, run = identity("batch", who, script, str(self.events)), identity("run", who, script, str(self.events))
        with self.binding.transaction():
            delivery = {"batch_id": batch, "delivered_at": self.today, "delivered_from": "lab"}
            AccessBatch.insert1({**delivery, "access_count": len(reads)})
            AccessRun.insert1(self._run(batch, run, who, script, reads[0][1]))
            Access.insert([self._access(batch, run, who, *read) for read in reads])
        self._batch = batch
        return run

    def wrote(self, run: str, who: str, file: tuple[str, str, str], week: int) -> None:
        """Note that a run wrote a file."""
        row = self._access(self._batch, run, who, file, week)
        kept = ("event_id", "batch_id", "execution_id", "account_realm", "account_login", "account_id", "source_system",
                "item_id", "file_id", "file_name", "file_path", "sha256")  # fmt: skip
        written = self.today - timedelta(weeks=WEEKS - week) + timedelta(hours=1)  # after all that it read
        more = {"written_at": written, "output_size": row["access_size"], "function_name": ""}
        Output.insert1({**{name: row[name] for name in kept}, **more})

    def _at(self, week: int) -> datetime:
        return self.today - timedelta(weeks=WEEKS - week, minutes=self.luck.randrange(3000))

    def _run(self, batch: str, run: str, who: str, script: str, week: int) -> dict[str, Any]:
        empty = dict.fromkeys(("argv", "branch", "python_version", "package_version", "environment"), "")
        about = {"batch_id": batch, "execution_id": run, "run_realm": REALM, "run_login": who, "host": "lab"}
        code = {"repository": "https://git.example.org/acme/analyses.git", "commit_id": identity("c", script) + "0" * 8}
        return empty | about | code | {"started_at": self._at(week), "entry_point": script, "dirty": False}

    def _access(self, batch: str, run: str, who: str, file: tuple[str, str, str], week: int) -> dict[str, Any]:
        department, owner, name = file
        path = self.folder / department / owner / name
        item = self.source.resolve(str(path))
        revision, content = self.source.revision(item), path.read_bytes()
        digest = sha256(content).hexdigest()
        self.events += 1
        return {
            **{"event_id": identity("event", str(self.events)), "batch_id": batch, "execution_id": run},
            **{"accessed_at": self._at(week), "sequence": self.events, "outcome": "ok", "function_name": "read_file"},
            **{"account_realm": REALM, "account_login": who, "account_id": account_id(REALM, who)},
            **{"known_by": "setting", "source_system": item.source_system, "source_kind": "file", "url": item.url},
            **{"item_id": item.item_id, "file_id": file_id(item.source_system, item.item_id), "file_name": name},
            **{"file_path": f"{HERE}/{department}/{owner}/{name}", "owner_realm": REALM, "owner_login": owner},
            **{"revision": revision.token, "version_id": version_id(revision.token, digest), "sha256": digest},
            **{"access_size": len(content), "from_cache": False},
        }


def login(name: str) -> str:
    """Return the login of a name."""
    return name.lower().replace(" ", ".")


def build(folder: Path) -> None:
    """Make the company in this process's DATA_PLATFORM_HOME, and let the worker catalogue it."""
    from data_platform import face

    binding = bind_all(settings())
    company = Company(binding, folder)
    company.hire()
    add_rule(binding, settings(), "versions", 10)
    add_rule(binding, settings(), "days", 730, department="Genomics")
    hold(binding, settings(), "case 17", department="Clinical")
    company.write()
    company.copy()
    company.work()
    company.chain()
    face.worker(once=True)
    company.fill(folder / "Clinical" / company.files["Clinical"][0][0] / company.files["Clinical"][0][1], rows=131)
    company.deliver(ME, "score_responders.py", [(("Clinical", *company.files["Clinical"][0]), 9)])
    face.snapshot()
    face.worker(once=True)


def files_of(binding: Binding) -> dict[str, str]:
    """Return name -> id of all files."""
    from schemas.catalogue import FileName

    binding.ensure()
    return {row["file_name"]: row["file_id"] for row in FileName.to_dicts()}
