"""Serves the dashboard: on this machine only unless told otherwise, without telemetry, until it is told to stop."""

from __future__ import annotations

import ipaddress
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import click

from data_platform.errors import MissingExtra, SettingsError
from data_platform.oidc import address_of, sign_in_file
from data_platform.settings import Settings, settings

ADDRESS = "127.0.0.1"

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
    "theme.light.linkColor": "#0f766e",
    "theme.light.secondaryBackgroundColor": "#f4f6f6",
    "theme.light.sidebar.backgroundColor": "#f4f6f6",
    "theme.dark.primaryColor": "#2dd4bf",
    "theme.dark.linkColor": "#5eead4",
    "theme.baseRadius": "medium",
    "theme.showWidgetBorder": True,
}


WHOLE, ANSWERS_ONLY = "served/app.py", "pages/answer.py"
"""What is run. There is no folder `pages` beside either, whose files Streamlit would open by their path."""


def serve(
    port: int = 0,
    address: str = ADDRESS,
    names: Sequence[str] = (),
    without_sign_in: bool = False,
    answers_only: bool = False,
) -> None:
    """Serve the dashboard and print its address; return after SIGTERM or Ctrl-C.

    Parameters
    ----------
    port
        0 = the first free one from 8501 on.
    address
        IPv4 address to listen at.
    names
        Names of hosts, besides loopback's, that browsers may reach it under.
    without_sign_in
        Listen beyond loopback although the dashboard asks nobody who they are, for want of ``dashboard.oidc_url``.
    answers_only
        Serve the page that answers a question and nothing else: it shows nothing without the
        signed link of a mail, so it may listen anywhere.

    Raises
    ------
    MissingExtra
        If Streamlit is not installed.
    SettingsError
        If the port is taken, or the address is not loopback's and nobody vouched for it.
    """
    if find_spec("streamlit") is None:
        raise MissingExtra("The dashboard needs Streamlit. Install it with `pip install 'data-platform[platform]'`.")
    configured = settings()
    if not (_is_loopback(address) or configured.dashboard.signs_in or without_sign_in or answers_only):
        raise SettingsError(
            f"The dashboard shows all to everybody who reaches {address}: it asks nobody to sign in. Let people sign "
            f"in (dashboard.oidc_url), or serve it on {ADDRESS}, or see to it that only those get there who may see "
            "all, and add --without-sign-in. For people who answer questions only, --answers-only serves that page "
            "alone."
        )
    if port:
        refuse_taken(port, address)
    hosts = [ADDRESS, "localhost", *names, *_own_name(configured)]
    options = {**OPTIONS, "server.address": address, "server.allowedHosts": hosts}
    if port:
        options["server.port"] = port
    with sign_in_file(configured) as secrets:
        # Never those that happen to lie in the current folder.
        options["secrets.files"] = [str(secrets)] if secrets else []
        _run(options, ANSWERS_ONLY if answers_only else WHOLE)


def _own_name(configured: Settings) -> list[str]:
    """Return the host that people are sent back to when they have signed in."""
    return [urlsplit(address_of(configured)).hostname or ADDRESS] if configured.dashboard.signs_in else []


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.IPv4Address(address).is_loopback
    except ValueError as error:
        raise SettingsError(f"{address} is not an IPv4 address. Name one, as {ADDRESS}, with --address.") from error


def refuse_taken(port: int, address: str = ADDRESS) -> None:
    """Raise `SettingsError` if something listens on this port."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise SettingsError(
                f"Port {port} of {address} is taken. Name another with --port, or none for the first free one."
            ) from error


def _run(options: Mapping[str, object], script: str) -> None:
    from streamlit import config
    from streamlit.web import bootstrap

    import dashboard

    app = Path(dashboard.__file__).parent / script
    known = getattr(config, "_config_options_template", options)  # asking in public would parse the files twice
    flags = {name.replace(".", "_"): value for name, value in options.items() if name in known}
    bootstrap.load_config_options(flags)
    threading.Thread(target=_announce, args=(options["server.address"],), daemon=True).start()
    with _told_where_the_root_is():
        bootstrap.run(str(app), False, [], flags)


@contextmanager
def _told_where_the_root_is() -> Iterator[None]:
    """Have browsers know the root: for the address of a page they would ask for it below that first, in vain."""
    from streamlit import config, file_util

    own = Path(file_util.get_static_dir())
    path = str(config.get_option("server.baseUrlPath")).strip("/")
    root = f"location.origin+{json.dumps(f'/{path}')}"
    told = f"<head><script>window.__streamlit={{BACKEND_BASE_URL:{root}}}</script>"
    kept = file_util.get_static_dir
    with TemporaryDirectory(prefix="data-platform-dashboard-") as folder:
        for one in own.iterdir():
            if one.name != "index.html":
                Path(folder, one.name).symlink_to(one)
        page = (own / "index.html").read_text(encoding="utf-8").replace("<head>", told, 1)
        Path(folder, "index.html").write_text(page, encoding="utf-8")
        file_util.get_static_dir = lambda: folder
        try:
            yield
        finally:
            file_util.get_static_dir = kept


def _announce(address: object) -> None:
    """Print the address as soon as Streamlit notes which port it got; it passes over those that are taken."""
    from streamlit import config
    from streamlit.config_option import ConfigOption

    while config.get_where_defined("server.port") != ConfigOption.STREAMLIT_DEFINITION:
        time.sleep(0.05)
    click.echo(f"Dashboard: http://{address}:{config.get_option('server.port')}  (Ctrl-C stops it)")
