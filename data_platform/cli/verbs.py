"""Which module has which command: only that of the command that is run is imported."""

from __future__ import annotations

from importlib import import_module

import click

from data_platform.cli.failure import Sentences

_OF_MODULE = {
    "adopting": "adopt",
    "adoption": "report saved subscribe",
    "backups": "check erase rebuild restore restore-files",
    "catalogue": "worker",
    "colleagues": "asked collaborators findable who",
    "copies": "duplicates",
    "describing": "describe",
    "following": "follow following save-search searches webhook-key",
    "insight": "snapshot",
    "noting": "collect collections note notes tag tags",
    "operate": "deploy doctor",
    "page": "diff show",
    "provenance": "whence whither",
    "questions": "answer ask ledger",
    "reading": "flush read",
    "recalling": "acknowledge recall recalls",
    "retaining": "add-rule end-rule hold release retain retention",
    "sealing": "seal",
    "searching": "search",
    "services": "health retry scheduler",
    "serving": "dashboard demo demo-story",
    "signing_in": "login logout whoami",
    "standing": "status",
    "syncing": "notices sync",
}
MODULES = {verb: module for module, verbs in _OF_MODULE.items() for verb in verbs.split()}


class Verbs(Sentences):
    """A group that imports a command once it is run, or all of them are listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in MODULES:
            return None
        module = import_module(f"data_platform.cli.{MODULES[cmd_name]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command
