"""What users call, in terms of the parts that do it. Each verb of the command line is one of these functions.

`data_platform` exports these lazily: nothing here imports a database driver, pandas or
Streamlit before a function that needs one is called.
"""

from __future__ import annotations

from data_platform.face.backups import check, erase, rebuild, restore, restore_files, seal
from data_platform.face.copies import answer, ask, duplicates, ledger
from data_platform.face.describing import describe, generate_descriptions
from data_platform.face.noting import (
    collect,
    collections,
    end_collection,
    follow,
    following,
    forget_search,
    note,
    notes,
    save_search,
    searches,
    tag,
    tags,
    tell_followers,
    webhook_key,
    withdraw_note,
)
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
from data_platform.face.page import diff, show
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
from data_platform.face.recalling import acknowledge, end_recall, mail_recalls, recall, recalls
from data_platform.face.retaining import add_rule, end_rule, hold, release, retain, retention
from data_platform.face.searching import check_search, complete_search, keep_search, rebuild_search, search
from data_platform.face.signing_in import login, logout, whoami
from data_platform.face.syncing import notices, sync

__all__ = [
    "acknowledge",
    "add_rule",
    "adopt",
    "answer",
    "ask",
    "asked",
    "check",
    "check_search",
    "collaborators",
    "collect",
    "collections",
    "complete_search",
    "deploy",
    "describe",
    "diff",
    "duplicates",
    "end_collection",
    "end_recall",
    "end_rule",
    "erase",
    "findable",
    "flush",
    "follow",
    "following",
    "forget_search",
    "generate_descriptions",
    "health",
    "hold",
    "keep_search",
    "ledger",
    "log_output",
    "login",
    "logout",
    "mail_recalls",
    "mail_report",
    "note",
    "notes",
    "notices",
    "read",
    "read_file",
    "read_http",
    "read_onedrive",
    "read_s3",
    "read_sharepoint",
    "read_teams",
    "rebuild",
    "rebuild_search",
    "recall",
    "recalls",
    "release",
    "report",
    "restore",
    "restore_files",
    "retain",
    "retention",
    "retry",
    "save_search",
    "saved",
    "scheduler",
    "seal",
    "search",
    "searches",
    "show",
    "similar_analyses",
    "snapshot",
    "status",
    "subscribe",
    "sync",
    "tag",
    "tags",
    "tell_followers",
    "webhook_key",
    "whence",
    "whither",
    "who",
    "whoami",
    "withdraw_note",
    "worker",
]
