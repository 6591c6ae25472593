"""The demo from curtain to curtain: people, reads, worker, summary, three answers, dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from dashboard.display import human_bytes
from data_platform import face
from data_platform.demo import company, questions
from data_platform.demo.journal import Journal
from data_platform.demo.own_folder import read_folder
from data_platform.demo.story import play, say
from data_platform.settings import settings


def perform(folder: Path | None, serve: bool) -> None:
    """Play the demo in this process's DATA_PLATFORM_HOME; see `data_platform.demo.start`."""
    from populate.pipeline import bind_all

    home = settings().home
    _title("A small biotech at work")
    click.echo("  All people are invented. The data are public: see data_platform/demo/NOTICE.md.")
    click.echo(f"  Catalogue of the demo: {home}\n")
    say("database", "starting")
    binding = bind_all(settings())
    company.seed(binding)
    journal = Journal(home)
    journal.verify(face.status()["accesses"])
    if folder is None:
        play(home, journal)
    else:
        read_folder(home, folder)
    face.flush()
    say("worker", "catalogues and backs up")
    face.worker(once=True)
    counts = face.status()
    journal.close(counts["accesses"])
    _summary(counts)
    _title("Three questions, answered from the tables")
    for question, answer in questions.answers(binding, home):
        click.secho(f"  {question}", bold=True)
        click.echo("\n".join(f"    {line}" for line in answer) + "\n")
    if serve:
        from data_platform.serve import serve as serve_dashboard

        serve_dashboard()


def _title(text: str) -> None:
    click.secho(f"\n{text}", bold=True)


def _summary(counts: Mapping[str, int]) -> None:
    _title("What the catalogue knows now, without anybody having filled it in")
    saved = counts["logical_bytes"] - counts["blob_bytes"]
    share = saved / counts["logical_bytes"] if counts["logical_bytes"] else 0.0
    lines = {
        "reads": f"{counts['accesses']:,}, each with who, what, when and from which run",
        "people": f"{counts['people']:,} with service account and machine login; {counts['executions']:,} runs",
        "files": f"{counts['files']:,} in {counts['versions']:,} versions",
        "contents": f"{counts['blobs']:,} different ones, each backed up once",
        "bytes in": human_bytes(counts["logical_bytes"]),
        "bytes stored": f"{human_bytes(counts['blob_bytes'])}: {human_bytes(saved)} ({share:.0%}) saved",
        "edges": f"{counts['share_edges']:,} times data of one person reached another",
        "backups failed": f"{counts['backups_failed']:,}",
    }
    for name, text in lines.items():
        say(name, text)
