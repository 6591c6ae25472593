"""The manifest of a file set: canonical, exact, and checked by an independent tool."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readers.fileset import manifest, members_of

PATHS = st.text(st.one_of(st.sampled_from("\\\n\r /a"), st.characters(exclude_characters="\x00")), min_size=1)
CONTENT = st.binary(max_size=4).map(lambda data: hashlib.sha256(data).hexdigest())


def test_one_line_a_member_sorted_by_path() -> None:
    text = manifest([("b/c.csv", "2" * 64), ("a.csv", "1" * 64), ("b.csv", "3" * 64)])
    assert text == f"{'1' * 64}  a.csv\n{'3' * 64}  b.csv\n{'2' * 64}  b/c.csv\n".encode()


def test_an_empty_set_has_an_empty_manifest() -> None:
    assert manifest([]) == b""
    assert list(members_of(b"")) == []


def test_a_fixed_version_stays_fixed() -> None:
    """Versions are in catalogues: a change of the format would make every set look changed."""
    text = manifest(
        [("naïve.csv", "a" * 64), ("new\nline", "b" * 64), ("back\\slash", "c" * 64), ("caf\udce9", "d" * 64)]
    )
    assert text == (
        b"\\" + b"c" * 64 + b"  back\\\\slash\n" + b"d" * 64 + b"  caf\xe9\n"
        + b"a" * 64 + b"  na\xc3\xafve.csv\n" + b"\\" + b"b" * 64 + b"  new\\nline\n"
    )  # fmt: skip
    assert hashlib.sha256(text).hexdigest() == "d64805e43fd26bf2140c66a53bcd94d8f117344518f4634ec67c2af65ffbab8f"


@given(st.dictionaries(PATHS, CONTENT))
def test_order_does_not_matter_and_nothing_is_lost(members: dict[str, str]) -> None:
    pairs = list(members.items())
    text = manifest(pairs)
    random.Random(0).shuffle(pairs)
    assert manifest(pairs) == text
    assert dict(members_of(text)) == members


@given(st.dictionaries(PATHS, CONTENT, min_size=1), st.data())
def test_any_difference_makes_another_version(members: dict[str, str], data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(members)))
    changed = members | {path: hashlib.sha256(b"something else").hexdigest()}
    without = {other: sha256 for other, sha256 in members.items() if other != path}
    renamed = without | {path + "x": members[path]} if path + "x" not in members else without
    assert len({manifest(version.items()) for version in (members, changed, without)}) == 3
    assert manifest(renamed.items()) != manifest(members.items())


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed: apt-get install coreutils")
def test_sha256sum_agrees(tmp_path: Path) -> None:
    names = [
        "plain.csv",
        "two  blanks.csv",
        "sub folder/ü.csv",
        "back\\slash",
        "new\nline",
        "cr\rx",
        " lead",
        "caf\udce9",
    ]
    members = []
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(os.fsencode(name) * 3)
        members.append((name, hashlib.sha256(path.read_bytes()).hexdigest()))
    listing = tmp_path / "manifest"
    listing.write_bytes(manifest(members))
    command = ["sha256sum", "--check", "--strict", "--quiet", str(listing)]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0
    (tmp_path / "new\nline").write_bytes(b"damaged")
    assert subprocess.run(command, cwd=tmp_path, check=False, capture_output=True).returncode == 1
