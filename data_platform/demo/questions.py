"""Three questions that people ask of their data, answered from the tables."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dashboard.display import human_bytes
from data_platform import face
from schemas.catalogue import Blob, File, FileName, FileOwner, Version
from schemas.engine import dj
from schemas.people import Account, Membership, Person
from schemas.restrict import where
from schemas.sharing import Access, Execution, ShareEdge

if TYPE_CHECKING:
    from schemas.binding import Binding

LINES = 6
Answer = tuple[str, list[str]]


def answers(binding: Binding, home: Path) -> Iterator[Answer]:
    """Yield three questions with their answers as lines of text."""
    binding.ensure()
    producer = _busiest_producer()
    if producer:
        yield f"Who reads {producer['full_name']}'s files?", _readers_of(producer)
    yield "Which contents are kept more than once, and where?", _duplicates()
    analysis = _an_analysis()
    if analysis:
        yield (
            f"Which bytes did {analysis['full_name']}'s {analysis['script']} use, and can they be had back?",
            list(_provenance(analysis, home)),
        )


def _busiest_producer() -> dict[str, Any] | None:
    """Return the person whose files reached most other people."""
    edges = ShareEdge.proj() * Account.proj("person_id", producer_id="account_id")
    people = Person.aggr(edges, reached="count(distinct consumer_id)")
    ranked = sorted(people.join(Person).to_dicts(), key=lambda person: (-person["reached"], person["full_name"]))
    return ranked[0] if ranked else None


def _readers_of(producer: dict[str, Any]) -> list[str]:
    own = where(Account, person_id=producer["person_id"]).proj(producer_id="account_id")
    edges = (ShareEdge & own) * Account.proj("person_id", consumer_id="account_id")
    people = Person.aggr(edges, files="count(distinct file_id)").join(Person)
    home = {row["person_id"]: row["department"] for row in Membership.to_dicts()}
    ranked = sorted((people & "files > 0").to_dicts(), key=lambda person: (-person["files"], person["full_name"]))
    lines = [
        f"{p['full_name']} ({home.get(p['person_id'], 'department unknown')}): {_count(p['files'], 'file')}"
        for p in ranked
    ]
    return _shortened(lines)


def _duplicates() -> list[str]:
    copies = Blob.aggr(Version, "blob_size", files="count(distinct file_id)") & "files > 1"
    listed = sorted(copies.to_dicts(), key=lambda blob: (-blob["blob_size"] * (blob["files"] - 1), blob["sha256"]))
    if not listed:
        return ["None: every content has one place."]
    lines = []
    for blob in listed:
        places = [f"{name} of {owner}" for name, owner in _places(blob["sha256"])]
        lines.append(
            f"{human_bytes(blob['blob_size'])} in {blob['files']} files, backed up once: " + "; ".join(places[:LINES])
        )
    return _shortened(lines)


def _places(sha256: str) -> list[tuple[str, str]]:
    holders = dj.U("file_id") & where(Version, sha256=sha256)
    names = {row["file_id"]: row["file_path"] for row in (FileName & holders).to_dicts(order_by="named_on")}
    owned = (FileOwner & holders) * Account * Person.proj("full_name")
    owners = {row["file_id"]: row["full_name"] for row in owned.to_dicts(order_by="owner_since")}
    return sorted((Path(path).name, owners.get(file_id, "nobody known")) for file_id, path in names.items())


def _an_analysis() -> dict[str, Any] | None:
    """Return the first successful read of a file that has changed since, else of any file."""
    changed = File.aggr(Version, versions="count(version_id)") & "versions > 1"
    reads = where(Access, outcome="ok", set_file_id="") & dj.Not({"version_id": ""})
    for file_id in changed.to_arrays("file_id")[:1]:
        reads = where(reads, file_id=str(file_id))
    for access in reads.to_dicts(order_by="accessed_at", limit=1):
        run = (where(Execution, execution_id=access["execution_id"]).to_dicts() or [{}])[0]
        person = (where(Account, account_id=access["account_id"]) * Person.proj("full_name")).fetch1("full_name")
        script = Path(run["entry_point"]).name if run else access["function_name"]
        return {**access, "full_name": person, "script": script, "run": run}
    return None


def _provenance(analysis: dict[str, Any], home: Path) -> Iterator[str]:
    run = analysis["run"]
    yield f"It read {analysis['file_name']} on {analysis['accessed_at']:%Y-%m-%d %H:%M:%S} UTC"
    yield f"with SHA-256 {analysis['sha256']}."
    if run.get("commit_id"):
        state = "with changes" if run["dirty"] else "unchanged"
        yield f"The code: {run['repository'] or 'a repository'} at commit {run['commit_id'][:12]}, {state}."
    versions = len(where(Version, file_id=analysis["file_id"]))
    yield f"The file has {_count(versions, 'version')} by now."
    target = home / "restored" / analysis["sha256"][:12] / Path(analysis["file_name"]).name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    restored = face.restore(analysis["sha256"], target)
    same = hashlib.sha256(restored.read_bytes()).hexdigest() == analysis["sha256"]
    yield f"Restored from the backup, hashed again: {'the same bytes' if same else 'OTHER BYTES'}: {restored}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _shortened(lines: list[str]) -> list[str]:
    return lines[:LINES] + ([f"… and {len(lines) - LINES} more"] if len(lines) > LINES else [])
