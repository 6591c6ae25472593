"""The face: what users may call.

>>> from data_platform import read
>>> import pandas as pd
>>> frame = pd.read_csv(read("/shares/screening/plate_12.csv"))

Everything is loaded when it is first used, so importing this package is quick and opens
nothing: no file, no connection, no driver.
"""

from __future__ import annotations

import importlib
import importlib.util
import os.path
import sys
from typing import TYPE_CHECKING

from data_platform.errors import PackageHidden
from data_platform.version import __version__

if TYPE_CHECKING:
    from data_platform import errors as errors
    from data_platform import settings as settings
    from data_platform.face import acknowledge as acknowledge
    from data_platform.face import add_rule as add_rule
    from data_platform.face import adopt as adopt
    from data_platform.face import answer as answer
    from data_platform.face import ask as ask
    from data_platform.face import asked as asked
    from data_platform.face import check as check
    from data_platform.face import check_search as check_search
    from data_platform.face import collaborators as collaborators
    from data_platform.face import collect as collect
    from data_platform.face import collections as collections
    from data_platform.face import complete_search as complete_search
    from data_platform.face import deploy as deploy
    from data_platform.face import describe as describe
    from data_platform.face import diff as diff
    from data_platform.face import duplicates as duplicates
    from data_platform.face import end_collection as end_collection
    from data_platform.face import end_recall as end_recall
    from data_platform.face import end_rule as end_rule
    from data_platform.face import erase as erase
    from data_platform.face import findable as findable
    from data_platform.face import flush as flush
    from data_platform.face import follow as follow
    from data_platform.face import following as following
    from data_platform.face import forget_search as forget_search
    from data_platform.face import generate_descriptions as generate_descriptions
    from data_platform.face import health as health
    from data_platform.face import hold as hold
    from data_platform.face import keep_search as keep_search
    from data_platform.face import ledger as ledger
    from data_platform.face import log_output as log_output
    from data_platform.face import login as login
    from data_platform.face import logout as logout
    from data_platform.face import mail_recalls as mail_recalls
    from data_platform.face import mail_report as mail_report
    from data_platform.face import note as note
    from data_platform.face import notes as notes
    from data_platform.face import notices as notices
    from data_platform.face import read as read
    from data_platform.face import read_file as read_file
    from data_platform.face import read_http as read_http
    from data_platform.face import read_onedrive as read_onedrive
    from data_platform.face import read_s3 as read_s3
    from data_platform.face import read_sharepoint as read_sharepoint
    from data_platform.face import read_teams as read_teams
    from data_platform.face import rebuild as rebuild
    from data_platform.face import rebuild_search as rebuild_search
    from data_platform.face import recall as recall
    from data_platform.face import recalls as recalls
    from data_platform.face import release as release
    from data_platform.face import report as report
    from data_platform.face import restore as restore
    from data_platform.face import restore_files as restore_files
    from data_platform.face import retain as retain
    from data_platform.face import retention as retention
    from data_platform.face import retry as retry
    from data_platform.face import save_search as save_search
    from data_platform.face import saved as saved
    from data_platform.face import scheduler as scheduler
    from data_platform.face import seal as seal
    from data_platform.face import search as search
    from data_platform.face import searches as searches
    from data_platform.face import show as show
    from data_platform.face import similar_analyses as similar_analyses
    from data_platform.face import snapshot as snapshot
    from data_platform.face import status as status
    from data_platform.face import subscribe as subscribe
    from data_platform.face import sync as sync
    from data_platform.face import tag as tag
    from data_platform.face import tags as tags
    from data_platform.face import tell_followers as tell_followers
    from data_platform.face import webhook_key as webhook_key
    from data_platform.face import whence as whence
    from data_platform.face import whither as whither
    from data_platform.face import who as who
    from data_platform.face import whoami as whoami
    from data_platform.face import withdraw_note as withdraw_note
    from data_platform.face import worker as worker
    from readers.autolog import autolog as autolog

__all__ = [
    "__version__",
    "acknowledge",
    "add_rule",
    "adopt",
    "answer",
    "ask",
    "asked",
    "autolog",
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
    "errors",
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
    "settings",
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

_PARTS = ("schemas", "readers", "populate", "dashboard")
_MODULES = ("errors", "settings")


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    module = importlib.import_module("readers.autolog" if name == "autolog" else f"{__name__}.face")
    value: object = getattr(module, name)
    globals()[name] = value  # so that the next use is a plain look-up
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


def _refuse_namesakes() -> None:
    """Make sure that our other packages are found, not a file of the user with such a name.

    Raises
    ------
    PackageHidden
        If one is hidden; the message names the file.
    """
    home = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))  # noqa: PTH120 - pathlib is slow to import
    for part in _PARTS:
        file = _file_of(part)
        if file is not None and os.path.dirname(os.path.realpath(file)) != os.path.join(home, part):  # noqa: PTH120
            raise PackageHidden(
                f"{file} has the same name as the package `{part}` of data_platform and hides it. "
                "Rename it, or start Python in another folder."
            )


def _file_of(part: str) -> str | None:
    """Return the file that the package was or would be imported from; None if there is none at all."""
    loaded = sys.modules.get(part)
    if loaded is not None:  # a folder without __init__.py has no file
        return loaded.__file__ or os.path.join(*loaded.__path__[:1], "__init__.py")
    spec = importlib.util.find_spec(part)
    return spec.origin if spec is not None else None


_refuse_namesakes()
