"""The tables of people, catalogue and sharing, on a real database."""

from __future__ import annotations

from schemas.binding import Binding
from schemas.people import PersonKind
from schemas.sharing import Channel


def test_lookups_are_filled(binding: Binding) -> None:
    assert set(PersonKind.to_arrays("person_kind")) == {"unknown", "person", "guest", "service"}
    assert set(Channel.to_arrays("channel")) == {"read", "grant", "event"}
