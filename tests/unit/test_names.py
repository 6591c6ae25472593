"""Names from outside become names that are safe here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readers.cache_names import MAX_BYTES, safe_name, safe_paths

ODD_CHARACTERS = st.one_of(
    st.sampled_from("./\\:*?\x00\n\r\t \u202e\u2066\u2028~-ab"),
    st.characters(),
    st.characters(min_codepoint=0xD800, max_codepoint=0xDFFF, categories=["Cs"]),
)
ODD = st.text(ODD_CHARACTERS, max_size=400)
ODD_PATHS = st.text(ODD_CHARACTERS, max_size=60)


@pytest.mark.parametrize(
    "name",
    [
        "counts.tsv.gz",
        "two words.csv",
        "Zellzählung µ 细胞.csv",
        ".hidden",
        "-rf.csv",
        "CON",
        "aux.csv",
        "run_10:30.csv",
        "data[1].csv",
        "trailing. ",
        "a" * 255,
        "caf\udce9.csv",  # bytes that are not UTF-8, as Linux allows
        "quote'\"$(rm -rf ~).csv",
    ],
)
def test_what_an_analyst_may_rely_on_is_kept(name: str) -> None:
    assert safe_name(name) == name


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("", "_"),
        (".", "_"),
        ("..", "__"),
        ("...", "___"),
        (" ", "_"),
        ("../../etc/passwd", ".._.._etc_passwd"),
        ("/etc/passwd", "_etc_passwd"),
        ("..\\..\\boot.ini", ".._.._boot.ini"),
        ("C:evil.csv", "C_evil.csv"),
        ("C:\\evil.csv", "C__evil.csv"),
        ("a\x00.csv", "a_.csv"),
        ("a\nb.csv", "a_b.csv"),
        ("a*.csv", "a_.csv"),  # DuckDB and Polars would read the neighbours too
        ("a?.csv", "a_.csv"),
        ("report\u202evsc.exe", "report_vsc.exe"),
        ("\ud800.csv", "_.csv"),
    ],
)
def test_what_is_dangerous_is_replaced(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@pytest.mark.parametrize("name", ["x" * 300 + ".tsv.gz", "ü" * 200 + ".tsv.gz", "x" * 1024 + ".tsv.gz"])
def test_a_long_name_keeps_its_suffixes_and_stays_unique(name: str) -> None:
    safe = safe_name(name)
    assert len(os.fsencode(safe)) <= MAX_BYTES
    assert safe.endswith(".tsv.gz")
    assert safe_name("y" + name) != safe != safe_name(name.replace(".tsv", "z.tsv"))


def test_a_long_name_without_a_suffix() -> None:
    assert len(safe_name("." + "x" * 400)) == MAX_BYTES
    assert len(safe_name("x." + "y" * 400)) == MAX_BYTES


@given(ODD)
def test_any_name_can_be_made_in_a_folder_and_nowhere_else(name: str) -> None:
    safe = safe_name(name)
    encoded = os.fsencode(safe)
    assert safe not in {"", ".", ".."}
    assert not {"/", "\\", "\x00"} & set(safe)
    assert 0 < len(encoded) <= MAX_BYTES
    assert safe_name(safe) == safe


@given(st.lists(ODD_PATHS, min_size=1, max_size=5))
def test_any_paths_of_a_set_can_be_made(tmp_path_factory: pytest.TempPathFactory, paths: list[str]) -> None:
    root = tmp_path_factory.mktemp("set", numbered=True)
    mapped = safe_paths(["/".join(paths), *paths, "/".join(reversed(paths))])
    for safe in mapped.values():
        target = Path(root, safe)
        assert root in target.parents
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch(exist_ok=False)
    assert sum(1 for path in root.rglob("*") if path.is_file()) == len(mapped)


def test_paths_that_fall_together_are_told_apart() -> None:
    paths = ["a*b", "a?b", "a_b", "x", "x/y", "x//y", "../x", "/x", "x/."]
    mapped = safe_paths(paths)
    assert len(set(mapped.values())) == len(paths)
    assert mapped["a_b"] != mapped["a*b"]
    assert mapped == safe_paths(reversed(paths))


def test_plain_paths_stay_as_they_are() -> None:
    paths = ["a.csv", "deep/er/b.csv", "deep/c d.csv", "ü/ö.csv"]
    assert safe_paths(paths) == {path: path for path in paths}
