"""Hands the events of deliveries to an OpenLineage backend, as the outbox hands over accesses: none is lost.

A delivery is written down as told once the backend has taken all its events. If the process or the connection breaks
before that, they are sent again: run and time are the same each time, by which backends know an event. In an outage
the round ends, and the next one goes on where it stopped. A delivery that the backend fails at while it takes others
does not hold these up: it is tried again later.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

import httpcore

from data_platform.errors import SettingsError, SourceTimeout, SourceUnavailable, UnsafeLink
from data_platform.settings import Settings
from data_platform.version import __version__
from populate.lineage.facts import START, due, failing, told_by
from populate.lineage.tables import LineageFailed, LineageRefused, LineageSent
from populate.provenance.openlineage import events
from readers.addresses import Link, TrustedHosts
from readers.transport import Transport, within
from schemas.binding import Binding
from schemas.engine import dj

MANY = 200
"""Deliveries that are looked for at a time."""

ROUND_SECONDS = 600.0
REFUSALS = frozenset({400, 413, 422})
"""Answers that say that an event is wrong, and not that the backend is not well or does not know us."""
OUTAGES = frozenset({502, 503, 504})
"""Answers of 500 and above that say nothing about an event; some backends answer others to one that is odd."""

_log = logging.getLogger(__name__)


class Emitted(NamedTuple):
    """How many deliveries and events a backend took, and how many deliveries it does not want."""

    deliveries: int
    events: int
    refused: int


class _Refusal(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _NotWanted(_Refusal):
    """The backend says that an event is wrong."""


class _Failed(_Refusal):
    """The backend fails, at this event or at all."""


class Backend:
    """Where events are sent.

    Raises
    ------
    UnsafeLink
        If it is on another machine and not spoken to over https.
    SettingsError
        If the file with the token cannot be read.
    """

    def __init__(self, settings: Settings) -> None:
        self._seconds = settings.lineage.timeout_seconds
        self._link = Link.parse(settings.lineage.url)
        trusted = TrustedHosts(settings.http.trusted_hosts)
        if self._link.scheme != "https" and not _is_here(self._link.host) and self._link not in trusted:
            raise UnsafeLink(
                f"{self._link.origin} is another machine, and plain http can be read on the way. Set lineage.url to an "
                "https address, or list the host in http.trusted_hosts."
            )
        self._headers = {"Content-Type": "application/json", "User-Agent": f"data-platform/{__version__}"}
        if settings.lineage.token_file is not None:
            self._headers["Authorization"] = f"Bearer {_token(settings)}"
        self._transport = Transport(self._seconds)

    def send(self, event: dict[str, Any]) -> None:
        """Hand an event over.

        Raises
        ------
        SourceTimeout, SourceUnavailable
            If it does not answer, or not that it took it.
        """
        status = self._status(json.dumps(event, ensure_ascii=False).encode())
        if status in REFUSALS:
            raise _NotWanted(status)
        if status >= 500 and status not in OUTAGES:
            raise _Failed(status)
        if not 200 <= status < 300:
            raise self.unwell(status)

    def unwell(self, status: int) -> SourceUnavailable:
        """Return the error that says what it answers."""
        return SourceUnavailable(
            f"{self._link.authority} answered {status}. See that lineage.url and lineage.token_file are right."
        )

    def _status(self, body: bytes) -> int:
        try:
            with within(self._seconds):
                answer = self._transport.send("POST", self._link, self._headers, trusted=True, body=body)
                answer.close()  # what it says does not matter
        except httpcore.TimeoutException as error:
            raise SourceTimeout(f"{self._link.authority} does not answer in time. See that it runs.") from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise SourceUnavailable(f"{self._link.authority} gives no proper answer. See that it runs.") from error
        return answer.status


def emit_due(binding: Binding) -> Emitted:
    """Tell the backend of the settings all that it has not been told, for ten minutes at most; the rest waits.

    Raises
    ------
    SourceTimeout, SourceUnavailable
        If the backend is not well; what it took before that is written down.
    UnsafeLink, SettingsError
        If it must not be spoken to as the settings say.
    """
    if not binding.settings.lineage.url:
        return Emitted(0, 0, 0)
    telling = _Round(binding)
    after = START
    while not telling.is_over and (found := due(binding, MANY, after)):
        telling.tell([batch_id for _, batch_id in found])
        after = found[-1]
    telling.tell([batch_id for batch_id, at in failing(binding).items() if at <= _now()], again=True)
    return telling.done


class _Round:
    """Tells deliveries for ten minutes.

    Attributes
    ----------
    done
        What came of it so far.
    """

    def __init__(self, binding: Binding) -> None:
        self._binding = binding
        self._backend = Backend(binding.settings)
        self._end = time.monotonic() + ROUND_SECONDS
        self.done = Emitted(0, 0, 0)

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self._end

    def tell(self, batches: list[str], again: bool = False) -> None:
        """Tell some deliveries; one that fails is told later if the backend took another one, or had failed `again`."""
        before, failed = self.done, dict[str, int]()
        try:
            for batch_id in batches:
                if self.is_over:
                    return
                try:
                    self._count(_emit(self._binding, self._backend, batch_id))
                except _Failed as failure:
                    failed[batch_id] = failure.status
            if failed and not again and not self._is_well_since(before):
                raise self._backend.unwell(max(failed.values()))
        finally:
            if again or self._is_well_since(before):
                self._set_aside(failed)

    def _count(self, taken: int | None) -> None:
        done = self.done
        self.done = Emitted(
            done.deliveries + (taken is not None), done.events + (taken or 0), done.refused + (taken is None)
        )

    def _is_well_since(self, before: Emitted) -> bool:
        """Tell whether the backend took, or judged, any event since."""
        return (self.done.events, self.done.refused) != (before.events, before.refused)

    def _set_aside(self, failed: dict[str, int]) -> None:
        for batch_id, status in failed.items():
            _log.warning("The backend fails at the events of delivery %s (%d): they are sent later.", batch_id, status)
            values = {"lineage_failed_at": _now(), "lineage_failed_status": status}
            _note(self._binding, LineageFailed, batch_id, **values)


def _emit(binding: Binding, backend: Backend, batch_id: str) -> int | None:
    """Send the events of a delivery, and return how many; None if the backend does not want them."""
    found = events(told_by(binding, batch_id))
    try:
        for event in found:
            backend.send(event)
    except _NotWanted as refusal:
        _log.warning("The events of delivery %s were refused (%d); they are not sent again.", batch_id, refusal.status)
        _note(binding, LineageRefused, batch_id, lineage_status=refusal.status, lineage_refused_at=_now())
        return None
    _note(binding, LineageSent, batch_id, lineage_event_count=len(found), lineage_sent_at=_now())
    return len(found)


def _note(binding: Binding, table: Any, batch_id: str, **values: Any) -> None:
    binding.ensure()
    with suppress(dj.errors.DuplicateError):  # another scheduler was faster
        table.insert1({"batch_id": batch_id, **values})


def _token(settings: Settings) -> str:
    path = settings.lineage.token_file
    assert path is not None
    try:
        token = path.read_text().strip()
    except (OSError, ValueError) as error:
        raise SettingsError(f"The token in {path} cannot be read. See to lineage.token_file.") from error
    if not (token and token.isascii() and token.isprintable()):
        raise SettingsError(f"There is no token in {path}. See to lineage.token_file.")
    return token


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
