"""Identities: the same for every process, different for everything that is different."""

from __future__ import annotations

import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.identity import account_id, display_text, file_id, identity, name_id, normal_login, version_id

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=20)  # lone surrogates too


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        # Rows in databases refer to these: a change here is a migration.
        (file_id("nfs:filer/export", "/a b/ü.csv"), "8471b57d1180b215683b19ea9b55664f"),
        (account_id("local", "Amy"), "6b8a17632f85a7809db84637a834ea2f"),
        (version_id("1", "0" * 64), "6b11b97730ad619cb547554d949253b3"),
        (name_id("/a"), "f7b116b34eafbf0b02e1e246a717c2ef"),
    ],
)
def test_identities_never_change(found: str, expected: str) -> None:
    assert found == expected


def test_an_identity_is_32_hex_digits() -> None:
    assert len(identity("x", "")) == 32
    assert set(identity("x", "")) <= set("0123456789abcdef")


@given(st.lists(ANY_TEXT, max_size=4), st.lists(ANY_TEXT, max_size=4))
def test_only_equal_parts_have_equal_identities(one: list[str], other: list[str]) -> None:
    assert (identity("file", *one) == identity("file", *other)) == (one == other)


def test_parts_do_not_run_into_each_other() -> None:
    assert identity("file", "ab", "c") != identity("file", "a", "bc")
    assert identity("file", "ab") != identity("fileab")
    assert identity("file", "a") != identity("name", "a")


def test_another_process_computes_the_same() -> None:
    script = "from schemas.identity import file_id; print(file_id('s3:store', 'Ä/\\udcff'))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert done.stdout.strip() == file_id("s3:store", "Ä/\udcff")


def test_a_login_is_one_however_it_is_written() -> None:
    composed, decomposed = unicodedata.normalize("NFC", "Zoë"), unicodedata.normalize("NFD", "Zoë")
    assert composed != decomposed
    variants = ["Zoë@Example.ORG", "zoë@example.org", f" {decomposed}@example.org\n", f"{composed.upper()}@EXAMPLE.org"]
    assert len({account_id("corp", login) for login in variants}) == 1
    assert account_id("corp", "zoe@example.org") != account_id("corp", "zoë@example.org")
    assert account_id("corp", "amy") == account_id("CORP", "amy") != account_id("other", "amy")


@given(ANY_TEXT)
def test_normalising_a_login_twice_changes_nothing(login: str) -> None:
    assert normal_login(normal_login(login)) == normal_login(login)


def test_a_revision_with_other_bytes_is_another_version() -> None:
    assert len({version_id("etag", "a" * 64), version_id("etag", "b" * 64), version_id("etag2", "a" * 64)}) == 3


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain é", "plain é"),
        (b"caf\xe9.csv", "caf\\xe9.csv"),
        ("caf\udce9.csv", "caf\\xe9.csv"),
        ("a\x00b", "a\\x00b"),
        (Path("/a/b"), "/a/b"),
        ("", ""),
    ],
)
def test_what_is_shown_of_a_name(raw: str | bytes | Path, shown: str) -> None:
    assert display_text(raw) == shown


@given(st.binary(max_size=30) | ANY_TEXT)
def test_what_is_shown_can_always_be_stored(raw: str | bytes) -> None:
    shown = display_text(raw)
    assert "\x00" not in shown
    assert shown.encode().decode() == shown
