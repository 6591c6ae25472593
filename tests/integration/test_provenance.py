"""`whence` and `whither`: what a result comes from and what became of data, as somebody may know it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator, FormatChecker
from small_company import MONDAY, REALM, asking, deliver, hire, path_id, person

from data_platform import flush
from data_platform.cli import main
from data_platform.errors import RestrictionError, VersionUnavailable
from data_platform.settings import load, settings
from populate.ingest import Ingest
from populate.provenance.drawing import svg
from populate.provenance.graph import Edge, Provenance
from populate.provenance.openlineage import events
from populate.provenance.walk import follow
from schemas.binding import Binding
from schemas.catalogue import File, Version
from schemas.identity import identity
from schemas.output import Output
from schemas.restrict import where
from schemas.sharing import Access, AccessRun, Permission, PermissionEnded

SCRIPT = """
import sys
from data_platform import log_output, read
source, *target = sys.argv[1:]
text = read(source).read_text()
for path in target:
    with open(path, "w") as file:
        file.write(text + sys.argv[0])
    log_output(path)
"""


class Lab:
    """Folders of a few people, their scripts in a repository, and runs of these as real processes."""

    def __init__(self, binding: Binding, home: Path, folder: Path) -> None:
        self.binding, self.home, self.folder = binding, home, folder
        self.code = folder / "code"
        self.owners = {}
        for name in ("amy", "bob", "colin", "code"):
            (folder / name).mkdir()
            self.owners[str(folder / name)] = name
        for script in ("analyse.py", "report.py"):
            (self.code / script).write_text(SCRIPT)
        for command in (
            ("init", "-q"),
            ("remote", "add", "origin", "https://git.example.org/lab/flow.git"),
            ("add", "."),
            ("-c", "user.name=lab", "-c", "user.email=lab@example.org", "commit", "-q", "-m", "Analyse"),
        ):
            subprocess.run(["git", "-C", str(self.code), *command], check=True, capture_output=True)

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def run(self, login: str, script: str, *names: str) -> None:
        environment = os.environ | {
            "DATA_PLATFORM_ACCOUNT": login,
            "DATA_PLATFORM_REALM": REALM,
            "DATA_PLATFORM_OUTBOX__SHIP": "false",
            "DATA_PLATFORM_FILE__OWNERS": json.dumps(self.owners),
        }
        command = [sys.executable, str(self.code / script), *map(self.path, names)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def ask(self, login: str, about: str, *, back: bool, depth: int = 10) -> Provenance:
        link = self.path(about) if "/" in about else about
        chosen = load(home=self.home, realm=REALM, account=login)
        return follow(asking(self.binding, login, datetime(2100, 1, 1)), link, chosen, depth=depth, back=back)


def told(found: Provenance) -> list[str]:
    """Return the edges in words, in the order of their times."""
    return [in_words(found, edge) for edge in found.edges]


def in_words(found: Provenance, edge: Edge) -> str:
    source, target = found.node(edge.source), found.node(edge.target)
    assert edge.at is not None
    return " ".join(filter(None, [source.name, f"-{edge.relation}/{edge.evidence}->", target.name, edge.detail]))


@pytest.fixture
def lab(binding: Binding, home: Path, tmp_path: Path) -> Lab:
    """Amy's data are read by Bob and Dora; Bob shares a copy of his result, and Colin reports on it."""
    found = Lab(binding, home, tmp_path)
    (tmp_path / "amy/data.csv").write_text("1,2\n")
    found.run("bob", "analyse.py", "amy/data.csv", "bob/result.csv")
    found.run("dora", "analyse.py", "amy/data.csv")
    shutil.copy(found.path("bob/result.csv"), found.path("bob/shared.csv"))
    found.run("colin", "report.py", "bob/shared.csv", "colin/report.txt")
    flush()
    # At a company everybody's processes are their own; here all are of one login.
    for run in AccessRun.to_dicts():
        login = set(where(Access, execution_id=run["execution_id"]).to_arrays("account_login").tolist())
        key = {name: run[name] for name in AccessRun().primary_key}
        AccessRun.update1({**key, "run_login": login.pop()})
    Ingest.populate()
    return found


def grant(lab: Lab, login: str, name: str) -> None:
    """Let the source say that somebody may read a file."""
    file_id = str(where(File, item_id=os.path.realpath(lab.path(name))).fetch1("file_id"))
    key = {"file_id": file_id, "grantee_id": person(login), "granted_since": datetime(2026, 1, 1)}
    Permission.insert1(key | {"grantee": login, "grantee_kind": "account", "permission_level": "read"})


CODE = "flow -code/recorded->"
FORMS = {"--svg": "<svg ", "--dot": "digraph", "--openlineage": "[", "--prov": "{"}
CHAIN = {
    "data.csv -read/read-> analyse.py",
    "amy -shared/shared-> data.csv with bob (read)",
    "analyse.py -wrote/met-> shared.csv",
    "bob -shared/shared-> shared.csv with colin (read)",
    "shared.csv -read/read-> report.py",
    "report.py -wrote/declared-> report.txt",
    f"{CODE} analyse.py",
    f"{CODE} report.py",
}


def test_the_chain_is_complete_both_ways_for_who_may_know_it_and_ends_where_they_may_not(lab: Lab) -> None:
    before = lab.ask("colin", "colin/report.txt", back=True)
    assert set(told(before)) == {edge for edge in CHAIN if "data.csv" not in edge}
    assert "data.csv" not in json.dumps(before.to_dict())
    assert "amy" not in json.dumps(before.to_dict())

    grant(lab, "colin", "amy/data.csv")
    whence = lab.ask("colin", "colin/report.txt", back=True)
    assert set(told(whence)) == CHAIN
    assert [whence.node(about).name for about in whence.about] == ["report.txt"]
    (code,) = {node.facts["commit_id"] for node in whence.nodes if node.kind == "code"}
    head = subprocess.run(["git", "-C", str(lab.code), "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert code == head.stdout.strip()

    whither = lab.ask("colin", "amy/data.csv", back=False)
    people = {node.facts["person"] for node in whither.nodes if node.kind == "run"}
    assert people == {"bob", "dora", "colin"}
    assert set(told(whither)) == CHAIN | {"amy -shared/shared-> data.csv with dora (read)"}

    published = json.loads((Path(__file__).parents[1] / "data/openlineage/OpenLineage.json").read_text())
    for event in events(whence) + events(whither):
        Draft202012Validator(published, format_checker=FormatChecker()).validate(event)
    assert len(events(whither)) == 6
    assert svg(whither).count("<rect") == 1 + len(whither.nodes)

    # By the hash of the bytes the same is found; with a depth of one run, and a grant that ended, less.
    digits = hashlib.sha256(Path(lab.path("colin/report.txt")).read_bytes()).hexdigest()
    assert lab.ask("colin", digits[:12], back=True).edges == whence.edges
    near = lab.ask("colin", digits, back=True, depth=1)
    assert near.cut
    assert "analyse.py" not in {node.name for node in near.nodes}
    (row,) = where(Permission, grantee_id=person("colin")).proj().to_dicts()
    PermissionEnded.insert1(row | {"ended_at": datetime(2026, 2, 1)})
    assert lab.ask("colin", digits, back=True) == before


def test_an_old_link_tells_of_no_bytes_that_came_after_access_ended(lab: Lab) -> None:
    data = Path(lab.path("amy/data.csv"))
    data.write_text("3,4,5\n")
    lab.run("dora", "analyse.py", "amy/data.csv")
    flush()
    Ingest.populate()
    old, new = (hashlib.sha256(text).hexdigest() for text in (b"1,2\n", b"3,4,5\n"))
    assert new in json.dumps(lab.ask("bob", "amy/data.csv", back=False).to_dict())
    data.unlink()
    bobs, doras = (json.dumps(lab.ask(login, "amy/data.csv", back=False).to_dict()) for login in ("bob", "dora"))
    assert (old in bobs, new in bobs) == (True, False)
    assert (old in doras, new in doras) == (True, True)
    grant(lab, "bob", "amy/data.csv")
    assert new in json.dumps(lab.ask("bob", "amy/data.csv", back=False).to_dict())


def test_who_may_know_less_is_told_less(lab: Lab) -> None:
    # Bob knows what he read and wrote, and where his copy went on: not what Colin made of it.
    bobs = lab.ask("bob", "amy/data.csv", back=False)
    words = set(told(bobs))
    assert "analyse.py -wrote/declared-> result.csv" in words
    assert "result.csv -copy/met-> shared.csv" in words
    assert "shared.csv -read/read-> report.py" in words
    assert "report.txt" not in {node.name for node in bobs.nodes}
    # Amy is told of the runs that read her data, as she owns these, and not of what they wrote.
    assert {node.name for node in lab.ask("amy", "amy/data.csv", back=False).nodes if node.kind != "person"} == {
        "data.csv",
        "analyse.py",
        "flow",
    }
    # Eve can open nothing: what she may not know and what is not there look alike.
    digits = hashlib.sha256(b"1,2\n").hexdigest()
    refusals = set()
    for about in (digits, "0" * 64):
        with pytest.raises(VersionUnavailable) as refused:
            lab.ask("eve", about, back=True)
        refusals.add(str(refused.value).replace(about, ""))
    assert len(refusals) == 1
    with pytest.raises(RestrictionError, match="depth"):
        lab.ask("amy", digits, back=True, depth=0)


def test_the_command_tells_the_steps_in_words_and_in_every_form(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_PLATFORM_ACCOUNT", "colin")
    monkeypatch.setenv("DATA_PLATFORM_REALM", REALM)
    settings.cache_clear()
    report = lab.path("colin/report.txt")
    words = CliRunner().invoke(main, ["whence", report], catch_exceptions=False)
    assert words.exit_code == 0
    assert re.search(r"declared  report\.py \[by colin, .*\] -> wrote -> report\.txt \[sha256:", words.output)
    found = json.loads(CliRunner().invoke(main, ["whence", report, "--json"], catch_exceptions=False).output)
    assert found["direction"] == "whence"
    assert {edge["evidence"] for edge in found["edges"]} == {"declared", "met", "read", "shared", "recorded"}
    forms = {form: CliRunner().invoke(main, ["whither", lab.path("bob/shared.csv"), form]) for form in FORMS}
    assert {form: forms[form].output[: len(start)] for form, start in FORMS.items()} == FORMS
    refused = CliRunner().invoke(main, ["whence", "sha256:" + "0" * 64])
    assert refused.exit_code == 1
    assert "Nothing is known of" in refused.output


def wrote(batch: str, run: str, login: str, path: str, sha256: str, day: int) -> None:
    """Note down, on a day after Monday, that a run wrote a file."""
    row = dict.fromkeys(("source_system", "item_id", "function_name"), "")
    row |= {"event_id": identity("output", batch, path), "batch_id": identity("batch", batch), "execution_id": run}
    row |= {"account_realm": REALM, "account_login": login, "account_id": person(login), "file_id": path_id(path)}
    row |= {"file_name": path, "file_path": path, "sha256": sha256}
    Output.insert1(row | {"written_at": MONDAY + timedelta(days=day), "output_size": 1})


def test_only_what_came_before_is_where_something_comes_from(binding: Binding, home: Path) -> None:
    for login in ("amy", "bob", "zoe"):
        hire(login, "Lab")

    def edges(path: str, *, back: bool = True) -> set[tuple[str, str, str]]:
        (sha256,) = where(Version, file_id=path_id(path)).to_arrays("sha256")
        found = follow(asking(binding, "bob"), str(sha256), load(home=home), depth=9, back=back)
        return {(found.node(e.source).name, e.evidence, found.node(e.target).name) for e in found.edges}

    # On Tuesday Bob reads a; on Wednesday his run tells of b; on Thursday it reads c.
    run = deliver(binding, [("bob", "/a", "bob", 1), ("bob", "/c", "bob", 3)], batch="one", script="/one.py")
    deliver(binding, [("bob", "/b", "bob", 4)], batch="two", script="/two.py")
    (sha256,) = where(Version, file_id=path_id("/b")).to_arrays("sha256")
    wrote("one", run, "bob", "/b", str(sha256), 2)
    assert edges("/b") == {("a", "read", "one.py"), ("one.py", "declared", "b")}
    assert edges("/a", back=False) == {*edges("/b"), ("b", "read", "two.py")}
    assert edges("/c", back=False) == {("c", "read", "one.py")}
    # Zoe's run makes the same bytes after b was read: b does not come from there. It reads what Bob owns, so he may
    # know of it, but not of its own output; a file that he finds later may be that.
    late = deliver(binding, [("zoe", "/a", "bob", 5)], batch="late", script="/late.py")
    wrote("late", late, "zoe", "/zoe", str(sha256), 6)
    assert edges("/b") == {("a", "read", "one.py"), ("one.py", "declared", "b")}
    # Empty files are alike and have nothing to do with each other.
    nothing = hashlib.sha256(b"").hexdigest()
    wrote("one", run, "bob", "/empty", nothing, 4)
    wrote("late", late, "zoe", "/void", nothing, 6)
    found = follow(asking(binding, "bob"), nothing, load(home=home), depth=9, back=True)
    assert {node.name for node in found.nodes if node.kind == "run"} == {"one.py"}
