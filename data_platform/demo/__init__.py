"""A small biotech at work: invented people, real public data, real reads, a catalogue of its own."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import click
import platformdirs

from data_platform.errors import MissingExtra, SettingsError
from data_platform.settings import isolated_environment

NEEDED = ("lifelines", "pandas", "streamlit")
JOURNAL = "demo.json"


def start(*, home: Path | None = None, folder: Path | None = None, serve: bool = True) -> None:
    """Replace this process by one that plays the demo and sees none of its user's configuration.

    Parameters
    ----------
    home
        Folder of the demo's own catalogue; default: ``data-platform-demo`` beside the
        user's own.
    folder
        The user's own folder to read; default: the public data sets.
    serve
        Serve the dashboard afterwards.

    Raises
    ------
    MissingExtra
        If the packages of the demo are not installed.
    SettingsError
        If `home` holds something that is not a demo.
    """
    missing = [package for package in NEEDED if find_spec(package) is None]
    if missing:
        raise MissingExtra(
            f"The demo needs {', '.join(missing)}. Install them with `pip install 'data-platform[demo]'`."
        )
    home = (home or Path(platformdirs.user_data_dir("data-platform-demo"))).expanduser().absolute()
    _refuse_foreign(home)
    from data_platform.demo.shares import write_configuration

    write_configuration(home)
    arguments = (
        ["demo-story"] + (["--folder", str(folder.absolute())] if folder else []) + (["--serve"] if serve else [])
    )
    debug = click.get_current_context(silent=True)
    if debug is not None and debug.find_root().params.get("debug"):
        arguments.insert(0, "--debug")
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-m", "data_platform", *arguments], isolated_environment(home))


def _refuse_foreign(home: Path) -> None:
    """Write only into an empty folder or the home of an earlier demo."""
    if home.exists() and any(home.iterdir()) and not (home / JOURNAL).exists():
        raise SettingsError(f"{home} is not empty and not a demo's home. Name another folder with --home.")
    home.mkdir(parents=True, exist_ok=True)
    if not (home / JOURNAL).exists():
        (home / JOURNAL).write_text("{}\n", encoding="utf-8")
