"""Mails about new versions: what others called a file neither links nor breaks anything."""

from __future__ import annotations

from datetime import datetime

from populate.notes.due import Due
from populate.notes.telling import _html, _plain, _subject
from populate.provenance.sight import Name


def test_a_file_that_is_called_like_a_link_is_none_in_a_mail() -> None:
    name = Name("https://evil.example/sign-in", "/share/www.evil.example/<img src=x>", "file/share")
    one = Due("p" * 32, "f" * 32, "mail", datetime(2026, 5, 4), "v" * 32, "", datetime(2026, 5, 5, 9, 30), 1, name)
    for text in (_subject([one]), _plain([one]), _html([one])):
        assert "https://evil" not in text
        assert "www.evil" not in text
        assert "<img" not in text.replace(_plain([one]), "")
    assert "first read on 05 May 2026 at 09:30 UTC" in _plain([one])
    assert "not read yet" in _html([one._replace(met_at=None)])
