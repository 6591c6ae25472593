"""Which source systems exist, and which one understands a link.

A company adds a system of its own by an entry point in the group ``data_platform.readers``,
whose name is the source's `kind`::

    [project.entry-points."data_platform.readers"]
    lims = "acme_lims:LimsSource"

Paths, ``file:`` links and ``s3://`` links belong to the built-in sources. Any other link is
offered to the entry points first, in alphabetical order, so that a company's source for its
own host is found before the built-in ones for OneDrive and SharePoint and for web links.
Nothing is imported before a link asks for it, and no entry point can take the place of a
built-in or of another one unseen.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points

from data_platform.errors import DataPlatformError, MissingExtra, SettingsError, UnknownSource
from data_platform.redact import redact_url
from data_platform.settings import Settings
from readers.source import Source

GROUP = "data_platform.readers"
BUILT_IN = {
    "file": "readers.file:FileSource",
    "http": "readers.http:HttpSource",
    "microsoft365": "readers.microsoft365.source:Microsoft365Source",
    "s3": "readers.s3:S3Source",
}
_SCHEMES = {"file": "file", "s3": "s3", "http": "http", "https": "http"}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_log = logging.getLogger(__name__)


def source_for(url: str, settings: Settings, kind: str | None = None) -> Source:
    """Return the source that understands `url`, or the one of the given `kind`.

    Raises
    ------
    UnknownSource
        If no source understands the link, or there is none of that kind.
    MissingExtra
        If the source needs a package that is not installed.
    """
    return source_of_kind(kind or _kind_of(url), settings)


def source_of_kind(kind: str, settings: Settings) -> Source:
    """Return this process's source of `kind` for `settings`; raises as `source_for` does."""
    global _kept
    owner, sources = _kept
    if owner is not settings:
        _kept = owner, sources = settings, {}
    source = sources.get(kind)
    if source is None:
        source = sources.setdefault(kind, source_class(kind)(settings))
    return source


def kinds() -> list[str]:
    """Return the name of every source that is registered, whether it can be loaded or not."""
    return sorted({*BUILT_IN, *_added()})


# Sources hold connections and look-ups, so they are kept, for the settings they were made with.
_kept: tuple[Settings | None, dict[str, Source]] = (None, {})


def _forget() -> None:
    global _kept
    _kept = (None, {})


os.register_at_fork(after_in_child=_forget)  # a child must not share its parent's connections


def _kind_of(url: str) -> str:
    """Return the kind of the source that understands `url`, judged by its text alone."""
    scheme = _SCHEME.match(url)
    if scheme is None:
        return "file"
    built_in = _SCHEMES.get(scheme[1].lower())
    if built_in in {"file", "s3"}:
        return built_in
    added = next(_understanding(url), None)
    if added is not None:
        return added
    if built_in is not None:
        return "microsoft365" if _is_microsoft365(url) else built_in
    if "://" not in url:
        return "file"  # a name with a colon in it, as run_10:30.csv
    raise UnknownSource(
        f"No reader understands {redact_url(url)!r}. Known are: {', '.join(kinds())}. "
        "Check the link, or install the package that reads this system."
    )


def _is_microsoft365(url: str) -> bool:
    from readers.microsoft365.links import understands  # a few patterns, nothing that would have to be installed

    return understands(url)


def _understanding(url: str) -> Iterator[str]:
    """Yield the added kinds that understand `url`; a broken one does not stop the others."""
    for kind in _added():
        if (found := _loadable(kind)) is not None and found.understands(url):
            yield kind


@lru_cache(maxsize=64)
def _loadable(kind: str) -> type[Source] | None:
    try:
        return source_class(kind)
    except DataPlatformError as error:
        _log.warning("The reader %r is left out: %s", kind, error)
        return None


@lru_cache(maxsize=64)
def source_class(kind: str) -> type[Source]:
    """Import and return the class registered as `kind`; raises as `source_for` does."""
    if kind in BUILT_IN:
        return _load(kind, BUILT_IN[kind])
    candidates = _added().get(kind, ())
    if not candidates:
        raise UnknownSource(f"There is no reader named {kind!r}. Use one of: {', '.join(kinds())}.")
    if len(references := sorted({entry.value for entry in candidates})) > 1:
        raise SettingsError(
            f"Several packages register a reader named {kind!r} ({', '.join(references)}). Uninstall all but one."
        )
    return _load(kind, references[0])


@lru_cache(maxsize=1)
def _added() -> dict[str, tuple[EntryPoint, ...]]:
    """Return the entry points that are not built-ins, by name, in alphabetical order."""
    added: dict[str, tuple[EntryPoint, ...]] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        if entry.name not in BUILT_IN:
            added[entry.name] = (*added.get(entry.name, ()), entry)
        elif entry.value != BUILT_IN[entry.name]:
            _log.warning("%s tries to replace the built-in reader %r and is ignored.", entry.value, entry.name)
    return added


def _load(kind: str, reference: str) -> type[Source]:
    module_name, _, class_name = reference.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), class_name, None)
    except ImportError as error:
        raise _missing(kind, reference, error) from error
    except Exception as error:
        raise SettingsError(
            f"The reader {kind!r} ({reference}) cannot be loaded ({type(error).__name__}: {error}). "
            "Mend or uninstall it."
        ) from error
    if not (isinstance(found, type) and issubclass(found, Source)):
        raise SettingsError(f"The reader {kind!r} names {reference}, which is not a Source. Mend or uninstall it.")
    if found.kind != kind:
        raise SettingsError(f"{reference} is registered as {kind!r} and calls itself {found.kind!r}. Make them alike.")
    for module in found.needs:
        if importlib.util.find_spec(module) is None:
            absent = ModuleNotFoundError(f"No module named {module!r}", name=module)
            raise _missing(kind, reference, absent) from absent
    return found


def _missing(kind: str, reference: str, error: ImportError) -> MissingExtra:
    absent = error.name or str(error)
    if kind in BUILT_IN:
        return MissingExtra(
            f"Reading {kind} links needs {absent}, which is not installed. Run `pip install 'data-platform[{kind}]'`.",
            name=error.name,
        )
    return MissingExtra(
        f"The reader {kind!r} ({reference}) cannot be loaded without {absent}. Install it.", name=error.name
    )
