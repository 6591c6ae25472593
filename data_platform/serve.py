"""Serves the dashboard: on this machine only, without telemetry, until it is told to stop."""

from __future__ import annotations

import socket
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import click

from data_platform.errors import MissingExtra, SettingsError

ADDRESS = "127.0.0.1"
USUAL_PORT = 8501
PORTS_TRIED = 50

# What a config.toml of the user's may not change. Options that an older Streamlit lacks are left out.
OPTIONS: dict[str, object] = {
    "server.address": ADDRESS,
    "server.headless": True,
    "server.allowedHosts": [ADDRESS, "localhost"],  # against DNS rebinding
    "server.enableCORS": True,
    "server.enableXsrfProtection": True,
    "server.fileWatcherType": "none",
    "server.enableStaticServing": False,
    "browser.gatherUsageStats": False,
    "client.toolbarMode": "minimal",
    "client.disableDataExport": True,  # its CSV would carry file names that spreadsheets take for formulas
    "client.showErrorDetails": "none",
    "client.showErrorLinks": False,
    "runner.magicEnabled": False,  # a bare expression would render data as Markdown
    "logger.hideWelcomeMessage": True,
    "logger.level": "warning",
    "theme.light.primaryColor": "#0f766e",
    "theme.dark.primaryColor": "#2dd4bf",
    "theme.baseRadius": "medium",
    "theme.showWidgetBorder": True,
}


def serve(port: int = 0) -> None:
    """Serve the dashboard on 127.0.0.1 and print its address; return after SIGTERM or Ctrl-C.

    Parameters
    ----------
    port
        0 = the first free one from 8501 on.

    Raises
    ------
    MissingExtra
        If Streamlit is not installed.
    SettingsError
        If the port is taken.
    """
    if find_spec("streamlit") is None:
        raise MissingExtra("The dashboard needs Streamlit. Install it with `pip install 'data-platform[platform]'`.")
    port = free_port(port)
    click.echo(f"Dashboard: http://{ADDRESS}:{port}  (Ctrl-C stops it)")
    _run(port)


def free_port(wanted: int = 0) -> int:
    """Return `wanted` if nothing listens there, or for 0 the first free port from 8501 on."""
    candidates = range(wanted, wanted + 1) if wanted else range(USUAL_PORT, USUAL_PORT + PORTS_TRIED)
    for port in candidates:
        with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((ADDRESS, port))
            except OSError:
                continue
            return port
    raise SettingsError(
        f"Ports {candidates[0]} to {candidates[-1]} of {ADDRESS} are taken. Name a free one with --port."
        if not wanted
        else f"Port {wanted} of {ADDRESS} is taken. Name another with --port, or none for the first free one."
    )


def _run(port: int) -> None:
    from streamlit import config
    from streamlit.web import bootstrap

    import dashboard

    app = Path(dashboard.__file__).with_name("app.py")
    known = getattr(config, "_config_options_template", OPTIONS)  # asking in public would parse the files twice
    options = {name: value for name, value in (OPTIONS | {"server.port": port}).items() if name in known}
    flags = {name.replace(".", "_"): value for name, value in options.items()}
    bootstrap.load_config_options(flags)
    bootstrap.run(str(app), False, [], flags)
