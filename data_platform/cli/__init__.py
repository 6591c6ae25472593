"""The command line: one verb for each function of the face.

Every error is one sentence on stderr and exit code 1; a wrong command is 2, as usual.
``--debug`` or ``DATA_PLATFORM_DEBUG=1`` shows the traceback.
"""

from __future__ import annotations

import os

import click

from data_platform.cli.verbs import Verbs

__all__ = ["main"]

# Pydantic would ask every installed package for plugins of its own, of which none has a say here; it takes 10 ms.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--debug", is_flag=True, envvar="DATA_PLATFORM_DEBUG", help="Show tracebacks and debug messages.")
@click.version_option(package_name="data-platform", prog_name="data-platform")
def main(debug: bool) -> None:
    """A data catalogue that nobody has to fill in.

    Read a shared link; who read whose file, which exact bytes, backups, versions and the map
    of who shares with whom follow by themselves.
    """
