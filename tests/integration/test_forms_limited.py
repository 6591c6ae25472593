"""Hostile files cost their own form, and nothing and nobody else."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import signal
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from benchmarks import _documents
from data_platform.errors import DataPlatformError
from populate.duplicates.forms.form import Form
from populate.duplicates.forms.limited import Forms, Limits

MIB = 1024**2
TABLE = b"a,b\n1,2\n3,4\n"


@pytest.fixture
def forms(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Forms]:
    monkeypatch.setenv("DATA_PLATFORM_DATABASE__PASSWORD", "canary")
    with Forms(Limits(64 * MIB, 512 * MIB, 60), tmp_path) as made:
        yield made


def ask(forms: Forms, content: bytes) -> Form:
    return forms.form_of(hashlib.sha256(content).hexdigest(), len(content), [content])


def zeros_in_a_workbook() -> bytes:
    """300 MB of a sheet in 300 kB."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        with archive.open("xl/worksheets/sheet1.xml", "w") as sheet:
            for _ in range(300):
                sheet.write(bytes(MIB))
    return target.getvalue()


def many_rows() -> bytes:
    """Thirty million rows in some kilobytes."""
    target = io.BytesIO()
    zeros = pa.table({"x": pa.array([0] * 1_000_000, pa.int8())})
    with parquet.ParquetWriter(target, zeros.schema, compression="zstd") as writer:
        for _ in range(30):
            writer.write_table(zeros)
    return target.getvalue()


def entities() -> bytes:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9)
    )
    return _documents.packed({"word/document.xml": f"{bomb}]><x>&j;</x>"})


def nested(depth: int) -> bytes:
    content = TABLE * 99
    for _ in range(depth):
        content = _documents.packed({"x": content})
    return content


HOSTILE: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "a workbook of zeros": (zeros_in_a_workbook, "none", "TooMuch"),
    "many rows": (many_rows, "none", "NotATable"),
    "entities": (entities, "none", "NotADocument"),
    "many files": (lambda: _documents.packed({f"{n}": b"" for n in range(20_001)}), "none", "TooMuch"),
    "cut gzip": (lambda: gzip.compress(TABLE)[:-6], "none", "EOFError"),
    "odd workbook": (lambda: _documents.packed({"xl/workbook.xml": "<odd", "x": TABLE}), "archive", ""),
    "cut zip": (lambda: _documents.packed({"a": TABLE})[:-30], "none", "BadZipFile"),
    "odd Parquet": (lambda: b"PAR1" + bytes(100), "none", "Arrow"),
    "zip in zip": (lambda: nested(2), "table", ""),
    "zip in zip in zip": (lambda: nested(30), "archive", ""),
    "open quote": (lambda: b'a,"' + b"b" * MIB, "text", ""),
    "odd OLE": (lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1000), "bytes", ""),
    "deep JSON": (lambda: b"[" * 100_000, "text", ""),
    "nothing": (lambda: b"", "bytes", ""),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_has_no_form_and_says_why(forms: Forms, name: str) -> None:
    make, kind, why = HOSTILE[name]
    found = ask(forms, make())
    assert (found.kind, why in found.why) == (kind, True), found
    assert ask(forms, TABLE).kind == "table"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to its limit of memory")
def test_memory_is_limited(forms: Forms) -> None:
    found = ask(forms, gzip.compress(b"word " * (16 * MIB), 1))
    assert found == Form("none", "", why="it takes more memory than it may")
    assert ask(forms, TABLE).kind == "table"


def test_time_is_limited(tmp_path: Path) -> None:
    with Forms(Limits(64 * MIB, 512 * MIB, 1), tmp_path) as forms:
        found = ask(forms, gzip.compress(bytes(64 * MIB), 1) * 200)
    assert found.kind == "none"
    # On a machine with much else to do the processor time is not used up before the other time is.
    assert found.why in ("it takes more processor time than it may", "it takes more time than it may")


def test_what_is_too_large_is_not_opened(forms: Forms) -> None:
    def never() -> Iterator[bytes]:
        raise AssertionError("it was read")
        yield b""

    assert forms.form_of("a" * 64, 65 * MIB, never()) == Form(
        "bytes", "a" * 64, why=f"larger than {64 * MIB} bytes: not opened"
    )


def test_the_child_knows_no_secrets_and_another_takes_its_place(forms: Forms) -> None:
    assert ask(forms, TABLE).kind == "table"
    child = forms._child
    assert child is not None
    if sys.platform == "linux":
        assert os.environ["DATA_PLATFORM_DATABASE__PASSWORD"] == "canary"
        assert b"canary" not in Path(f"/proc/{child.pid}/environ").read_bytes()
    child.send_signal(signal.SIGKILL)
    child.wait(60)
    assert ask(forms, TABLE).kind == "table"


def test_that_no_child_can_start_says_nothing_about_a_content(forms: Forms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("populate.duplicates.forms.limited._CODE", "raise SystemExit(1)")
    with pytest.raises(DataPlatformError, match="does not start"):
        ask(forms, TABLE)
    monkeypatch.undo()
    assert ask(forms, TABLE).kind == "table"


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    with Forms(Limits(MIB, 512 * MIB, 60), tmp_path) as forms:
        ask(forms, TABLE)
        child = forms._child
        assert list(tmp_path.iterdir()) == []  # the content has no name even while it is looked at
    assert child is not None
    assert child.returncode is not None
