"""What is configured, what works, and what to do about what does not. Secrets are never told."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, SecretStr

from data_platform.errors import DataPlatformError, MissingExtra
from data_platform.extras import missing_extra
from data_platform.finding import Finding
from data_platform.redact import redact_text
from data_platform.settings import GIB, Settings, load, origins, unknown_variables

if TYPE_CHECKING:
    from populate.store import Store
    from schemas.binding import Binding

LITTLE_SPACE = GIB  # bytes free
CLOCKS_APART = 5.0  # seconds
PROBE = b"data-platform doctor: this store can be written and read.\n"


@dataclass(frozen=True, slots=True)
class SettingValue:
    """A setting, its value as text (of a secret only whether it is set) and where it comes from."""

    name: str
    value: str
    origin: str


@dataclass(frozen=True, slots=True)
class Report:
    """All that the doctor has to say."""

    well: bool
    settings: list[SettingValue]
    findings: list[Finding]


def examine() -> Report:
    """Examine this installation; takes a few seconds, raises nothing."""
    try:
        settings = load()
        values = list(configured(settings))
    except DataPlatformError as error:
        broken = Finding(
            "settings", "todo", redact_text(str(error)), "Mend the setting named; nothing else was examined."
        )
        return Report(False, [], [broken])
    findings = list(_findings(settings))
    return Report(all(finding.state != "todo" for finding in findings), values, findings)


def configured(settings: Settings) -> Iterator[SettingValue]:
    """Yield every setting, in the order of their definition."""
    known = origins()
    for name, value in _flat(settings):
        text = ("set" if value.get_secret_value() else "not set") if isinstance(value, SecretStr) else str(value)
        yield SettingValue(name, redact_text(text) or "-", known.get(name.partition("[")[0], "default"))


def _flat(section: BaseModel, outer: str = "") -> Iterator[tuple[str, object]]:
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from _flat(value, f"{name}.")
        elif isinstance(value, dict) and value:
            yield from ((f"{outer}{name}[{key}]", entry) for key, entry in value.items())
        else:
            yield f"{outer}{name}", value


def _findings(settings: Settings) -> Iterator[Finding]:
    for name, examination in EXAMINATIONS.items():
        try:
            yield from examination(settings)
        except Exception as error:  # an examination that fails is itself a finding
            if (missing := error if isinstance(error, MissingExtra) else missing_extra(error)) is not None:
                yield Finding(name, "note", redact_text(str(missing)))
            else:
                yield Finding(name, "todo", redact_text(f"{error}") or type(error).__name__, ADVICE[name])


def _variables(settings: Settings) -> Iterator[Finding]:
    for name in unknown_variables():
        advice = "Correct or unset it. Parts of a section have two underscores: DATA_PLATFORM_STORE__URL."
        yield Finding("settings", "todo", f"the variable {name} sets nothing", advice)


def _home(settings: Settings) -> Iterator[Finding]:
    settings.home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=settings.home):
        pass
    free = shutil.disk_usage(settings.home).free
    if free < LITTLE_SPACE:
        yield Finding(
            "home", "todo", f"{settings.home}: {free:,} bytes free", "Free some space; reads need it for the cache."
        )
    else:
        yield Finding("home", "ok", f"{settings.home}, {free / GIB:,.0f} GiB free")


def _database(settings: Settings) -> Iterator[Finding]:
    from schemas.binding import bind

    binding = bind(settings)
    binding.ensure()
    place = "embedded in the home" if settings.database.backend == "embedded" else settings.database.host
    yield Finding("database", "ok", f"{binding.backend}, {place}, tables of {settings.database.prefix} deployed")
    yield _clock(binding)


def _clock(binding: Binding) -> Finding:
    """Compare this machine's clock with the database's: reads of several machines are put in order by it."""
    before = time.time()
    theirs = float(binding.connection.query(SERVER_TIME[binding.backend]).fetchone()[0])
    apart = max(before - theirs, theirs - time.time(), 0.0)
    if apart > CLOCKS_APART:
        return Finding("clock", "todo", f"{apart:,.0f} s from the database's", "Let this machine set its clock by NTP.")
    return Finding("clock", "ok", "agrees with the database's")


SERVER_TIME = {
    "postgresql": "SELECT EXTRACT(EPOCH FROM clock_timestamp())",
    "mysql": "SELECT UNIX_TIMESTAMP(NOW(6))",
}


def _store(settings: Settings) -> Iterator[Finding]:
    from populate.store import open_store

    if not settings.store_is_set:
        yield Finding("store", "note", "not configured (store.url): fine for reading, needed by workers and restore")
        return
    store = open_store(settings)
    digest = hashlib.sha256(PROBE).hexdigest()
    with store.writer(digest, len(PROBE)) as writer:
        writer.write(PROBE)
        place = writer.commit()
    same = b"".join(store.read(place)) == PROBE
    if same:
        yield Finding("store", "ok", f"{store.name} can be written and read")
    else:
        yield Finding("store", "todo", f"{store.name} gives back other bytes than were written", ADVICE["store"])
    if settings.store.seal or settings.store.seal_keys.get_secret_value():
        yield from _sealing(store)
    traits = store.traits()._asdict()
    said = ", ".join(f"{name.replace('_', ' ')} {'yes' if there else 'no'}" for name, there in traits.items())
    if traits["create_only"] and traits["payload"]:
        yield Finding("store enforces", "ok", said)
    else:
        yield Finding("store enforces", "note", said, "What it does not enforce is made up for by reading back.")


def _sealing(store: Store) -> Iterator[Finding]:
    """Tell which keys contents are sealed with: by their ids, which do not tell the keys."""
    from populate.store.sealed import SealedStore

    if not isinstance(store, SealedStore):
        return
    if unknown := store.unknown_keys():
        keys = ", ".join(unknown)
        yield Finding("sealing", "todo", f"contents are sealed with keys that are not here: {keys}", ADVICE["sealing"])
    elif store.seals:
        yield Finding("sealing", "ok", f"new contents are sealed with the key {store.newest.id}")
    else:
        advice = "Set store.seal, if new contents are to be sealed as well."
        yield Finding("sealing", "note", "store.seal is off: sealed contents are read, new ones are not sealed", advice)


def _cache(settings: Settings) -> Iterator[Finding]:
    folder = settings.cache_folder
    if folder.exists() and not os.access(folder, os.W_OK):
        yield Finding("cache", "todo", f"{folder} cannot be written", ADVICE["cache"])
    else:
        used = sum(_bytes_below(folder))
        yield Finding("cache", "ok", f"{used / GIB:,.2f} of {settings.cache.max_bytes / GIB:,.0f} GiB used")


def _bytes_below(folder: Path) -> Iterator[int]:
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                yield os.lstat(os.path.join(root, name)).st_size
            except FileNotFoundError:  # evicted while we look
                continue


def _outbox(settings: Settings) -> Iterator[Finding]:
    from readers.outbox import missed, pending

    if lost := missed(settings.outbox_folder):
        yield Finding(
            "missed reads", "note", f"{lost:,} could not be noted down so far: the disk was full or the limit met"
        )
    if aside := len(list((settings.outbox_folder / "set-aside").glob("*.record"))):
        yield Finding("set aside", "note", f"{aside:,} accesses cannot be delivered as they are", ADVICE["set aside"])
    waiting = pending(settings.outbox_folder)
    held = sum(_bytes_below(settings.outbox_folder))
    if held > settings.outbox.max_bytes // 2:
        yield Finding(
            "outbox", "todo", f"{waiting:,} accesses wait, {held:,} bytes: over half of the limit", ADVICE["outbox"]
        )
    elif waiting:
        yield Finding(
            "outbox", "note", f"{waiting:,} accesses wait for delivery", "`data-platform flush` delivers them now."
        )
    else:
        yield Finding("outbox", "ok", "nothing waits for delivery")
    how = "starts on demand" if settings.outbox.ship else "is switched off (outbox.ship): only `flush` delivers"
    yield Finding("shipper", "ok" if settings.outbox.ship else "note", how)


def _readers(settings: Settings) -> Iterator[Finding]:
    from readers.registry import kinds, source_of_kind

    for name in kinds():
        try:
            source_of_kind(name, settings)
        except MissingExtra as error:
            yield Finding(f"reader {name}", "note", redact_text(str(error)))
        except DataPlatformError as error:
            yield Finding(f"reader {name}", "todo", redact_text(str(error)), ADVICE["readers"])
        else:
            yield Finding(f"reader {name}", "ok", "installed")


def _microsoft365(settings: Settings) -> Iterator[Finding]:
    from readers.microsoft365.checkup import checkup

    yield from checkup(settings)


def _search(settings: Settings) -> Iterator[Finding]:
    if not settings.search.semantic:
        return
    from populate.search.encoder import encoder_of, model_folder

    encoder = encoder_of(settings)
    yield Finding("search", "ok", f"by meaning, too: {model_folder(settings)}, {encoder.width} numbers a text")


def _search_index(settings: Settings) -> Iterator[Finding]:
    from populate.search.checkup import checkup

    yield from checkup(settings)


def _git(settings: Settings) -> Iterator[Finding]:
    if shutil.which("git"):
        yield Finding("git", "ok", "runs are recorded with their commit")
    else:
        yield Finding(
            "git", "note", "not installed", "Install git, so that runs are recorded with the commit of their code."
        )


EXAMINATIONS: dict[str, Callable[[Settings], Iterator[Finding]]] = {
    "variables": _variables,
    "home": _home,
    "database": _database,
    "store": _store,
    "cache": _cache,
    "outbox": _outbox,
    "readers": _readers,
    "microsoft365": _microsoft365,
    "search": _search,
    "search index": _search_index,
    "git": _git,
}
ADVICE = {
    "set aside": "Send the folder `outbox/set-aside` in the home to your steward; nothing else is held up.",
    "variables": "Unset the variables DATA_PLATFORM_* that are not needed.",
    "home": "Set DATA_PLATFORM_HOME to a folder that you may write.",
    "database": "Check the settings `database.*`; a new server needs `data-platform deploy` by the schemas' owner.",
    "store": "Check the settings `store.*` and that this account may write there.",
    "sealing": "Add the keys of these ids to store.seal_keys, after the newest one.",
    "cache": "Make the folder `cache` in the home writable for yourself, or delete it.",
    "outbox": "Make the database reachable and run `data-platform flush`; accesses wait safely until then.",
    "readers": "Reinstall the package that provides the reader.",
    "microsoft365": "Check the settings `microsoft365.*`, see docs/how-to/microsoft365.md.",
    "search": "Set search.model to the folder of a sentence model, or search.semantic to false.",
    "search index": "Make the database reachable; then see docs/how-to/search.md.",
    "git": "Install git.",
}
