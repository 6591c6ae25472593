"""The record of one access, as small and as cheap as it can be: it is made on the caller's path.

What a record leaves out, delivery derives:

- ``execution_id`` is that of the run record at the head of the segment,
- ``account_id`` is that of ``account_realm`` and ``account_login``,
- ``file_id`` is that of ``source_system`` and ``item_id`` (if there is an ``item_id``),
- ``version_id`` is that of ``revision`` and ``sha256`` (if there is a ``sha256``),
- everything else that is missing has the default of its column.

Identities are taken over the raw text. So where a text had to be made storable (NUL, lone
surrogates) or was too long for its column, the record carries its identity beside it, and
that one counts.
"""

from __future__ import annotations

import os
import pwd
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import count

import orjson

from data_platform.redact import redact_text, redact_url
from data_platform.settings import Settings
from readers.source import Item, Login
from schemas.identity import account_id, display_text, file_id, version_id

Handed = tuple[str, str, str, int, bool, str]
"""What was handed over: kind of the source, revision, SHA-256, size, whether from the cache, the source's hash."""
SOURCE, SETTING, MACHINE = "source", "setting", "machine"
_EPOCH = datetime(1970, 1, 1)  # naive: all times here are UTC


@dataclass(frozen=True, slots=True)
class Consumer:
    """Who reads, and how that is known: ``source``, ``setting`` or ``machine``."""

    login: Login
    known_by: str
    on_behalf_of: str = ""


def consumer(settings: Settings, signed_in: Login | None) -> Consumer:
    """Return who reads: the source's account, else the setting ``account``, else the login of the machine."""
    if signed_in is not None:
        return Consumer(signed_in, SOURCE, settings.on_behalf_of)
    return _nobody_signed_in(settings.account, settings.realm, settings.on_behalf_of, os.getuid())


@lru_cache(maxsize=8)
def _nobody_signed_in(account: str, realm: str, on_behalf_of: str, user: int) -> Consumer:
    if account:
        return Consumer(Login(realm, account), SETTING, on_behalf_of)
    return Consumer(Login(realm, _login_of(user)), MACHINE, on_behalf_of)


def machine_login() -> str:
    """Return the name of the user that this process runs under.

    Asked from the operating system, not from ``LOGNAME`` and its like, which anybody can set.
    """
    return _login_of(os.getuid())


@lru_cache(maxsize=8)
def _login_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:  # usual in containers
        return f"uid-{user}"


class Clock:
    """UTC in microseconds that never stands still or goes back within the process."""

    def __init__(self) -> None:
        self._last = 0
        self.lock = threading.RLock()  # a signal handler that reads comes in the middle of anything
        # A thread of the parent may have held the lock in the moment of a fork.
        os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self.lock = threading.RLock()

    def __call__(self) -> int:
        now = time.time_ns() // 1000
        with self.lock:
            self._last = now = now if now > self._last else self._last + 1
        return now


_clock = Clock()
_sequence = count(1)  # next() is one step for the interpreter, so threads never share a number


class Digits:
    """Random hex digits, 20 at a time, fetched for hundreds of events at once.

    Asking the system for them gives the interpreter away, and to get it back beside a busy thread costs more
    than all the rest of a record.
    """

    AT_ONCE = 256
    LENGTH = 20

    def __init__(self) -> None:
        self._process, self._left = 0, list[str]()

    def __call__(self) -> str:
        while True:
            if self._process != os.getpid():  # a fork has its parent's
                self._process, self._left = os.getpid(), self._fresh()
            try:
                return self._left.pop()  # one step for the interpreter, so threads never share them
            except IndexError:
                self._left = self._fresh()

    def _fresh(self) -> list[str]:
        digits = os.urandom(self.AT_ONCE * self.LENGTH // 2).hex()
        return [digits[start : start + self.LENGTH] for start in range(0, len(digits), self.LENGTH)]


_digits = Digits()


def new_event_id() -> str:
    """Return 32 hex digits: 12 of the milliseconds since 1970, then 20 random ones."""
    return f"{_clock() // 1000:012x}{_digits()}"


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()


def _moment() -> tuple[str, str, int]:
    """Return what tells an access from all others: ``event_id``, ``accessed_at`` and ``sequence``."""
    now = _clock()
    seconds, microseconds = divmod(now, 1_000_000)
    return f"{now // 1000:012x}{_digits()}", f"{_second(seconds)}.{microseconds:06d}", next(_sequence)


def access_record(
    consumer: Consumer,
    *,
    url: str,
    function: str,
    item: Item | None = None,
    source_kind: str = "",
    revision: str = "",
    sha256: str = "",
    size: int = -1,
    from_cache: bool = False,
    source_hash: str = "",
    error: BaseException | None = None,
    part_of: tuple[str, str, str] | None = None,
) -> dict[str, object]:
    """Return the facts of one access, named like the columns of `schemas.sharing.Access`.

    Parameters
    ----------
    url
        The link as given; its secrets are taken out here.
    size
        Bytes handed over; -1 if none were.
    source_hash
        The source's own checksum, if it tells one.
    error
        What was raised instead.
    part_of
        ``file_id`` and ``version_id`` of a file set and the path within it, if the item was
        read as a part of one.
    """
    event_id, accessed_at, sequence = _moment()
    record: dict[str, object] = {"event_id": event_id, "accessed_at": accessed_at, "sequence": sequence}
    record |= _facts(consumer, url, function, item, (source_kind, revision, sha256, size, from_cache, source_hash))
    if error is not None:
        record["outcome"] = type(error).__name__[:64]
        _add(record, ("message", _message(error), 512))
    if part_of is not None:
        record["set_file_id"], record["set_version_id"] = part_of[:2]
        _add(record, ("set_path", part_of[2], 1024))
    return record


def access_payload(consumer: Consumer, url: str, function: str, item: Item, handed: Handed) -> bytes:
    """Return the record of a read that went well as JSON, the sooner if somebody read the same bytes before."""
    event_id, accessed_at, sequence = _moment()
    moment = f'{{"event_id":"{event_id}","accessed_at":"{accessed_at}","sequence":{sequence},'
    return moment.encode() + _encoded_facts(consumer, url, function, item, handed)


# A notebook reads the same few files again and again, and whatever there is of that comes from a cache.
@lru_cache(maxsize=256)
def _encoded_facts(consumer: Consumer, url: str, function: str, item: Item, handed: Handed) -> bytes:
    """Return the rest of a record: all but the brace that it begins with."""
    return orjson.dumps(_facts(consumer, url, function, item, handed))[1:]


def _facts(consumer: Consumer, url: str, function: str, item: Item | None, handed: Handed) -> dict[str, object]:
    """Return what is the same each time that somebody reads the same bytes by the same link."""
    source_kind, revision, sha256, size, from_cache, source_hash = handed
    record: dict[str, object] = {"outcome": "ok", "known_by": consumer.known_by, "url": _text(redact_url(url), 2048)}
    _add_login(record, "account", consumer.login)
    _add(
        record,
        ("function_name", function, 255),
        ("on_behalf_of", consumer.on_behalf_of, 255),
        ("source_kind", source_kind, 32),
        ("revision", revision, 512),
        ("source_hash", source_hash, 128),
    )
    if item is not None:
        _add_item(record, item)
    if sha256:
        record["sha256"] = sha256
        if record.get("revision", "") != revision:
            record["version_id"] = version_id(revision, sha256)
    if size >= 0:
        record["access_size"] = size
    if from_cache:
        record["from_cache"] = True
    return record


def _add(record: dict[str, object], *texts: tuple[str, str, int]) -> None:
    """Add column, value and greatest length of each text that is not empty."""
    for column, value, width in texts:
        if value:
            record[column] = _text(value, width)


def _add_login(record: dict[str, object], prefix: str, login: Login) -> None:
    realm = record[f"{prefix}_realm"] = _text(login.realm, 255)
    name = record[f"{prefix}_login"] = _text(login.name, 255)
    if login.shown:
        record[f"{prefix}_name"] = _text(login.shown, 255)
    if prefix == "account" and (realm, name) != (login.realm, login.name):
        record["account_id"] = account_id(login.realm, login.name)


def _add_item(record: dict[str, object], item: Item) -> None:
    _add(
        record,
        ("source_system", item.source_system, 255),
        ("item_id", item.item_id, 4096),
        ("file_name", item.name, 768),
        ("file_path", item.path, 4096),
    )
    if record.get("item_id", "") != item.item_id or record.get("source_system", "") != item.source_system:
        record["file_id"] = file_id(item.source_system, item.item_id)
    if item.owner is not None:
        _add_login(record, "owner", item.owner)


def _message(error: BaseException) -> str:
    """Return the text of an error without secrets; errors of others may fail to tell theirs."""
    try:
        return redact_text(str(error)[:8192])
    except Exception:
        return ""


def _text(text: str, width: int) -> str:
    """Return `text` as a column of that width stores it, and the very same object if it is fine already."""
    if text.isprintable() and len(text) <= width:
        return text
    text = display_text(text)
    return text if len(text) <= width else text[:width]
