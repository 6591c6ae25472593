"""Forms of contents that are in the content store."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from data_platform.errors import BlobDamaged, BlobMissing
from data_platform.settings import Settings
from populate.duplicates.forms.form import NONE, Form
from populate.duplicates.forms.limited import WHY, Forms, Limits
from populate.store import Place, Store, open_store

_log = logging.getLogger(__name__)
T = TypeVar("T")


class Placed(NamedTuple):
    """Bytes of a content, and the store and places where they are."""

    size: int
    store_name: str
    place: Place


def placed(rows: Iterable[Sequence[Any]]) -> dict[str, list[Placed]]:
    """Return for each content where it is, from rows of sha256, size, store, object, offset, length."""
    found: dict[str, list[Placed]] = {}
    for sha256, size, store_name, name, offset, length in rows:
        found.setdefault(sha256, []).append(Placed(size, store_name, Place(name, offset, length)))
    return found


def forms_of(
    settings: Settings, contents: Mapping[str, Sequence[Placed]], limits: Sequence[int]
) -> list[dict[str, Any]]:
    """Return for each content its row of `CanonicalContent`, but for the method, sorted by hash.

    A content that the store does not give back as it was is left out: `data-platform check`
    tells which these are.

    Raises
    ------
    StoreUnavailable
        If the store does not answer: nothing is known about any content then.
    """
    if not contents:
        return []
    store = open_store(settings)
    settings.home.mkdir(parents=True, exist_ok=True)
    with Forms(Limits(*limits), settings.home) as forms:
        found = ((sha256, made_of(forms.form_of, store, sha256, contents[sha256])) for sha256 in sorted(contents))
        return [_row(sha256, form) for sha256, form in found if form is not None]


def made_of(
    make: Callable[[str, int, Iterable[bytes]], T], store: Store, sha256: str, places: Sequence[Placed]
) -> T | None:
    """Return what `make` makes of a content's hash, size and bytes; None if the store does not give them as they were.

    Raises
    ------
    StoreUnavailable
        If the store does not answer.
    """
    here = next((one for one in places if one.store_name == store.name), None)
    if here is None:
        _log.warning(
            "%s is kept in %s and not in %s, so nothing is said of it.", sha256, places[0].store_name, store.name
        )
        return None
    content = Checked(store.read(here.place))
    try:
        made = make(sha256, here.size, content)
    except (BlobMissing, BlobDamaged) as error:
        _log.warning("Nothing is said of %s: %s", sha256, error)
        return None
    if content.begun and content.digest.hexdigest() != sha256:
        _log.warning("Nothing is said of %s, for which the store gives other bytes.", sha256)
        return None
    return made


class Checked:
    """Hashes pieces on their way; not `begun` if nobody wanted them."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self.digest = hashlib.sha256()
        self.begun = False

    def __iter__(self) -> Iterator[bytes]:
        self.begun = True
        for piece in self._pieces:
            self.digest.update(piece)
            yield piece


def _row(sha256: str, found: Form) -> dict[str, Any]:
    return {
        "sha256": sha256,
        "form_kind": found.kind,
        "form_sha256": found.sha256 if found.kind != NONE else "",
        "element_count": found.elements,
        "sketch": found.sketch,
        "form_reason": found.why[:WHY],
    }
