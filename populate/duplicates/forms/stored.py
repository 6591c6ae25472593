"""Forms of contents that are in the content store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from data_platform.errors import StoreError
from data_platform.settings import Settings
from populate.duplicates.forms.form import NONE, Form
from populate.duplicates.forms.limited import WHY, Forms, Limits
from populate.store import Place, Store, open_store


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

    Raises
    ------
    StoreUnavailable, BlobMissing
        If the store does not give a content out: nothing is known about it then.
    """
    if not contents:
        return []
    store = open_store(settings)
    with Forms(Limits(*limits)) as forms:
        return [_row(sha256, _form(forms, store, sha256, contents[sha256])) for sha256 in sorted(contents)]


def _form(forms: Forms, store: Store, sha256: str, places: Sequence[Placed]) -> Form:
    here = next((one for one in places if one.store_name == store.name), None)
    if here is None:
        raise StoreError(
            f"{sha256} is kept in {places[0].store_name} and not in {store.name}. Set store.url to the former."
        )
    return forms.form_of(sha256, here.size, store.read(here.place))


def _row(sha256: str, found: Form) -> dict[str, Any]:
    return {
        "sha256": sha256,
        "form_kind": found.kind,
        "form_sha256": found.sha256 if found.kind != NONE else "",
        "element_count": found.elements,
        "sketch": found.sketch,
        "form_reason": found.why[:WHY],
    }
