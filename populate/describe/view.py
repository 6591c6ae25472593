"""What a run or a file is about, as the asker may know it."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from data_platform.errors import RestrictionError
from populate.describe.summary import content_facts, content_summary, facts_sha256
from populate.describe.tables import Generated, RunDescription
from populate.lookup import lookup
from populate.notes.about import names
from populate.profile.view import profile_of
from populate.provenance.sight import Sight
from populate.who.asker import Asker
from schemas.catalogue import Version
from schemas.sharing import Access, AccessBatch, Execution

RUN = re.compile("[0-9a-f]{32}")
SHOWN = 20


@dataclass(frozen=True, slots=True)
class RunAbout:
    """What a run is about.

    Attributes
    ----------
    summary
        Put together from what the code says of itself; empty until a worker has seen the run.
    generated
        What a language model made of the same, to be shown as that: text that nobody has checked. Mostly empty.
    model
        Which one.
    reads
        Names of files that it read, of those that the asker may know, at most `SHOWN`.
    """

    execution_id: str
    started_at: datetime
    summary: str
    generated: str
    model: str
    reads: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FileAbout:
    """What a file is about: its newest content that the asker may know, and the latest runs that read it."""

    file_id: str
    name: str
    summary: str
    generated: str
    model: str
    runs: tuple[RunAbout, ...]


def describe_run(asker: Asker, execution_id: str) -> RunAbout:
    """Return what a run is about.

    Raises
    ------
    RestrictionError
        If there is no such run, or the asker may not know it.
    """
    found = _runs(asker, [row[0] for row in asker.ask("run", runs=(execution_id,))])
    if not found:
        raise RestrictionError("There is no such run, or you may not know it. Give the execution_id of one of yours.")
    return found[0]


def describe_file(asker: Asker, file_id: str) -> FileAbout:
    """Return what a file is about.

    Raises
    ------
    RestrictionError
        If there is no such file, or the asker may not know it.
    """
    known = names(asker, [file_id]).get(file_id)
    if known is None:
        raise RestrictionError("There is no such file, or you may not know it. Give a link that you can open.")
    sight = Sight(asker)
    contents = tuple(sorted({sha for _, sha in sight.ask("contents_seen", files=(file_id,)) if sha}))
    profile = next(filter(None, (profile_of(asker, sha) for sha in _newest_first(file_id, contents)[:1])), None)
    facts = content_facts(profile) if profile else None
    generated = _generated([facts_sha256(facts)]) if facts else {}
    text, model = next(iter(generated.values()), ("", ""))
    readers = sight.ask("readers", files=(file_id,), contents=contents)
    runs = _runs(asker, [row[0] for row in sorted(readers, key=lambda row: row[3], reverse=True)])[:SHOWN]
    return FileAbout(file_id, known.name, content_summary(facts) if facts else "", text, model, tuple(runs))


def _newest_first(file_id: str, contents: Collection[str]) -> list[str]:
    """Return contents of a file, the one that was met last first."""
    met: dict[str, datetime] = {}
    for sha, at in lookup(Access, "sha256", "accessed_at", file_id={file_id}, sha256=set(contents), outcome={"ok"}):
        met[sha] = max(met.get(sha, at), at)
    held = {sha for (sha,) in lookup(Version, "sha256", file_id={file_id}, sha256=set(contents))}
    return sorted(held, key=lambda sha: (met.get(sha, datetime.min), sha), reverse=True)


def _runs(asker: Asker, runs: Collection[str]) -> list[RunAbout]:
    """Return what runs are about that the asker is known to be allowed to know, the latest first."""
    wanted = list(dict.fromkeys(runs))
    described = _described(wanted)
    generated = _generated({facts for _, facts in described.values()})
    started = dict(lookup(Execution, "execution_id", "started_at", execution_id=set(wanted)))
    found = []
    for run in sorted(started, key=lambda run: (started[run], run), reverse=True)[:SHOWN]:
        summary, facts = described.get(run, ("", ""))
        files = [file_id for (file_id,) in asker.ask("inputs", runs=(run,))]
        known = names(asker, files)
        reads = sorted({known[file_id].name for file_id in files if file_id in known})[:SHOWN]
        text, model = generated.get(facts, ("", ""))
        found.append(RunAbout(run, started[run], summary, text, model, tuple(reads)))
    return found


def _described(runs: Collection[str]) -> dict[str, tuple[str, str]]:
    """Return summary and facts of runs, as the first delivery of each tells."""
    rows = lookup(RunDescription, "execution_id", "batch_id", "run_summary", "facts_sha256", execution_id=set(runs))
    at: dict[str, Any] = dict(lookup(AccessBatch, "batch_id", "delivered_at", batch_id={row[1] for row in rows}))
    found: dict[str, tuple[str, str]] = {}
    for run, _, summary, facts in sorted(rows, key=lambda row: (at[row[1]], row[1])):
        found.setdefault(run, (summary, facts))
    return found


def _generated(facts: Collection[str]) -> dict[str, tuple[str, str]]:
    """Return the latest text that a model made of each of the facts, and which one it was."""
    columns = ("generated_at", "facts_sha256", "generated_text", "model_name")
    rows = sorted(lookup(Generated, *columns, facts_sha256=set(facts) - {""}))
    return {sha: (text, model) for _, sha, text, model in rows if text}
