"""What users call, in terms of the parts that do it. Each verb of the command line is one of these functions.

`data_platform` exports these lazily: nothing here imports a database driver, pandas or
Streamlit before a function that needs one is called.
"""

from __future__ import annotations

from data_platform.face.backups import check, erase, rebuild, restore, restore_files
from data_platform.face.copies import answer, ask, duplicates, ledger
from data_platform.face.operating import (
    adopt,
    deploy,
    flush,
    health,
    retry,
    scheduler,
    snapshot,
    status,
    worker,
)
from data_platform.face.people import (
    asked,
    collaborators,
    findable,
    mail_report,
    report,
    saved,
    similar_analyses,
    subscribe,
    who,
)
from data_platform.face.provenance import log_output, whence, whither
from data_platform.face.reading import (
    read,
    read_file,
    read_http,
    read_onedrive,
    read_s3,
    read_sharepoint,
    read_teams,
)
from data_platform.face.signing_in import login, logout, whoami
from data_platform.face.syncing import notices, sync

__all__ = [
    "adopt",
    "answer",
    "ask",
    "asked",
    "check",
    "collaborators",
    "deploy",
    "duplicates",
    "erase",
    "findable",
    "flush",
    "health",
    "ledger",
    "log_output",
    "login",
    "logout",
    "mail_report",
    "notices",
    "read",
    "read_file",
    "read_http",
    "read_onedrive",
    "read_s3",
    "read_sharepoint",
    "read_teams",
    "rebuild",
    "report",
    "restore",
    "restore_files",
    "retry",
    "saved",
    "scheduler",
    "similar_analyses",
    "snapshot",
    "status",
    "subscribe",
    "sync",
    "whence",
    "whither",
    "who",
    "whoami",
    "worker",
]
