"""The command line: one verb for each function of the face.

Every error is one sentence on stderr and exit code 1; a wrong command is 2, as usual.
``--debug`` or ``DATA_PLATFORM_DEBUG=1`` shows the traceback.
"""

from __future__ import annotations

import click

from data_platform.cli.adopting import adopt
from data_platform.cli.adoption import report, saved, subscribe
from data_platform.cli.backups import check, erase, rebuild, restore, restore_files
from data_platform.cli.catalogue import worker
from data_platform.cli.colleagues import asked, collaborators, findable, who
from data_platform.cli.copies import duplicates
from data_platform.cli.describing import describe
from data_platform.cli.failure import Sentences
from data_platform.cli.following import follow, following, save_search, searches, webhook_key
from data_platform.cli.insight import snapshot
from data_platform.cli.noting import collect, collections, note, notes, tag, tags
from data_platform.cli.operate import deploy, doctor
from data_platform.cli.page import diff, show
from data_platform.cli.provenance import whence, whither
from data_platform.cli.questions import answer, ask, ledger
from data_platform.cli.reading import flush, read
from data_platform.cli.recalling import acknowledge, recall, recalls
from data_platform.cli.retaining import add_rule, end_rule, hold, release, retain, retention
from data_platform.cli.sealing import seal
from data_platform.cli.searching import search
from data_platform.cli.services import health, retry, scheduler
from data_platform.cli.serving import dashboard, demo, demo_story
from data_platform.cli.signing_in import login, logout, whoami
from data_platform.cli.standing import status
from data_platform.cli.syncing import notices, sync

__all__ = ["main"]


@click.group(cls=Sentences, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--debug", is_flag=True, envvar="DATA_PLATFORM_DEBUG", help="Show tracebacks and debug messages.")
@click.version_option(package_name="data-platform", prog_name="data-platform")
def main(debug: bool) -> None:
    """A data catalogue that nobody has to fill in.

    Read a shared link; who read whose file, which exact bytes, backups, versions and the map
    of who shares with whom follow by themselves.
    """


for _verb in (read, flush, worker, status, restore, check, snapshot, deploy, doctor, dashboard, demo, demo_story):
    main.add_command(_verb)
for _verb in (adopt, who, collaborators, asked, findable, saved, report, subscribe):
    main.add_command(_verb)
main.add_command(search)
main.add_command(duplicates)
for _verb in (show, diff):
    main.add_command(_verb)
for _verb in (whence, whither):
    main.add_command(_verb)
main.add_command(restore_files)
main.add_command(erase)
main.add_command(rebuild)
main.add_command(seal)
for _verb in (retain, retention, add_rule, end_rule, hold, release):
    main.add_command(_verb)
for _verb in (ask, answer, ledger):
    main.add_command(_verb)
for _verb in (scheduler, health, retry, sync, notices):
    main.add_command(_verb)
for _verb in (tag, tags, note, notes, collect, collections):
    main.add_command(_verb)
main.add_command(describe)
for _verb in (follow, following, webhook_key, save_search, searches):
    main.add_command(_verb)
for _verb in (login, logout, whoami):
    main.add_command(_verb)
for _verb in (recall, recalls, acknowledge):
    main.add_command(_verb)
