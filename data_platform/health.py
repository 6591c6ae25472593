"""Asks a worker or scheduler how it is, over HTTP."""

from __future__ import annotations

import json
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from data_platform.errors import SettingsError
from data_platform.settings import MonitorSettings

TIMEOUT = 15.0
EVERYWHERE = ("0.0.0.0", "")  # listened at; it is asked at loopback
LIMIT = 65536  # bytes of an answer


def ask(settings: MonitorSettings, url: str = "", live: bool = False) -> dict[str, object]:
    """Return what a service says of itself: ``ready`` and for each part ``ok`` or what is wrong.

    Parameters
    ----------
    settings
        Where the service of this machine listens.
    url
        Another one's address, as ``http://worker-1:9464``.
    live
        Ask only whether the process answers.

    Raises
    ------
    SettingsError
        If no service is named, or not by an http address.
    """
    parts = urlsplit(url or _own(settings))
    if parts.scheme != "http" or not parts.hostname:
        raise SettingsError("A service is asked at an address as http://127.0.0.1:9464. Name it so.")
    path = parts.path if parts.path.strip("/") else "/healthz" if live else "/readyz"
    connection = HTTPConnection(parts.hostname, parts.port or 80, timeout=TIMEOUT)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return _told(answer.status, answer.read(LIMIT))
    except (OSError, HTTPException) as error:
        return {"ready": False, "service": f"no answer from {parts.hostname}:{parts.port or 80} ({error})"}
    finally:
        connection.close()


def _own(settings: MonitorSettings) -> str:
    if not settings.port:
        raise SettingsError("Set monitor.port, which a worker or scheduler then serves its health at, or name a URL.")
    host = "127.0.0.1" if settings.host in EVERYWHERE else settings.host
    return f"http://{host}:{settings.port}"


def _told(status: int, body: bytes) -> dict[str, object]:
    with suppress(ValueError):
        found = json.loads(body)
        if isinstance(found, dict) and isinstance(found.get("ready"), bool):
            return found
    return {"ready": status == 200, "service": "ok" if status == 200 else f"it answers with status {status}"}
