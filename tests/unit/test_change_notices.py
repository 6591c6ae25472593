"""Notices as the vendor prints them: believed only with what we gave along."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import SecretStr

from data_platform.settings import Microsoft365Settings
from populate.sharing.notices import can_be_told, client_state, drives_told_of

SAMPLE = Path(__file__).parents[1] / "data" / "microsoft365" / "samples" / "graph" / "change_notification.json"
KEY = SecretStr("k" * 40)
DRIVE = "0123456789abcdef" * 2


def test_the_vendors_own_notice_is_not_believed_but_one_with_our_state_is() -> None:
    notice = json.loads(SAMPLE.read_text(encoding="utf-8"))
    assert drives_told_of(notice, KEY) == set()
    notice["value"][0]["clientState"] = client_state(KEY, DRIVE)
    assert drives_told_of(notice, KEY) == {DRIVE}


def test_the_state_fits_and_tells_nothing_of_the_key() -> None:
    state = client_state(KEY, DRIVE)
    assert len(state) <= 128
    assert KEY.get_secret_value() not in state
    assert state != client_state(SecretStr("x" * 40), DRIVE)


def test_the_source_can_tell_us_only_with_an_address_and_a_long_key() -> None:
    address = "https://data.contoso.com/notices"
    assert can_be_told(Microsoft365Settings(notify_url=address, notify_key=KEY))
    assert not can_be_told(Microsoft365Settings(notify_url=address, notify_key=SecretStr("short")))
    assert not can_be_told(Microsoft365Settings(notify_key=KEY))
