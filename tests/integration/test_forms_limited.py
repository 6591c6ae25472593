"""Hostile files cost their own form, and nothing and nobody else."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import select
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from benchmarks import _documents
from data_platform.errors import DataPlatformError
from populate.duplicates.forms import limited
from populate.duplicates.forms.form import Form
from populate.duplicates.forms.limited import Forms, Limits

MIB = 1024**2
ROOT = Path(__file__).parents[2]
HDF5 = ROOT / "tests/data/hdf5/hostile.h5"
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
    "HDF5 that links": (lambda: HDF5.read_bytes(), "bytes", ""),
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


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """The processes that were started, in order."""
    started: list[subprocess.Popen[bytes]] = []
    start = Forms._start

    def noted(self: Forms, content: int) -> subprocess.Popen[bytes]:
        started.append(start(self, content))
        return started[-1]

    monkeypatch.setattr(Forms, "_start", noted)
    return started


def takes_over(monkeypatch: pytest.MonkeyPatch, *code: str) -> None:
    """Let children run `code` where they would parse, as if what they parsed had made them; it sees `replies`."""
    program = (
        "import json, os, socket, sys, time; sys.path.append(sys.argv.pop(1))",
        "from populate.duplicates.forms import child",
        "def serve(content, replies, seconds):",
        "    sys.stdin.readline()",
        *(f"    {line}" for line in code),
        "    replies.flush(); time.sleep(600)",
        "child.serve = serve",
        "child.main()",
    )
    monkeypatch.setattr("populate.duplicates.forms.limited._CODE", "\n".join(program))


def confined() -> set[str]:
    """Return what the kernel here lets a process give up."""
    code = "from populate.duplicates.forms.confine import confine; print(*confine(('pyarrow',)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_a_few_contents_share_a_child_that_is_gone_afterwards(
    forms: Forms, children: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limited, "SHARED", 2)
    with forms:
        for _ in range(5):
            assert ask(forms, TABLE).kind == "table"
    assert len({child.pid for child in children}) == 3
    assert all(child.returncode is not None for child in children)


def test_what_has_no_form_beside_others_is_looked_at_alone(
    forms: Forms, children: list[subprocess.Popen[bytes]]
) -> None:
    broken = b"PAR1 and nothing more"
    assert ask(forms, TABLE).kind == "table"
    assert ask(forms, broken).kind == "none"
    assert len(children) == 2
    assert ask(forms, TABLE).kind == "table"
    assert len(children) == 2


def test_a_child_that_says_more_than_it_was_asked_is_not_heard_again(
    forms: Forms, children: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = json.dumps({"kind": "table", "sha256": 64 * "a"})
    with monkeypatch.context() as patch:
        takes_over(patch, f"replies.write({said!r} + chr(10)); replies.flush()", f"replies.write({said!r} + chr(10))")
        assert ask(forms, TABLE).kind in ("table", "none")  # as the second line was there already or not
        if forms._child is not None:
            assert select.select([forms._child.stdout], [], [], 60)[0]
    assert ask(forms, TABLE).sha256 not in ("", 64 * "a")
    assert len(children) == 2
    assert children[0].returncode is not None


def test_a_child_that_was_taken_over_speaks_for_no_other_content(
    forms: Forms, children: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        takes_over(patch, """replies.write('odd\\n{"kind": "table", "sha256": "' + 64 * 'a' + '"}\\n')""")
        assert ask(forms, TABLE).why == "the process that parsed it gave no proper answer"
    assert children[0].returncode is not None
    assert ask(forms, TABLE).sha256 != 64 * "a"


# What somebody would try who has taken a child over, and which gift of the kernel prevents it.
TRIED = {
    "environment": ("open(f'/proc/{os.getppid()}/environ').read(1)", "files"),
    "home": ("open(os.path.join(HOME, 'credentials')).read()", "files"),
    "listing": ("os.listdir(HOME)", "files"),
    "writing": ("open(os.path.join(HOME, 'new'), 'w')", "files"),
    "network": ("socket.socket()", "calls"),
    "database": ("socket.socket(socket.AF_UNIX)", "calls"),
    "process": ("os.fork() or time.sleep(600)", "calls"),
    "program": ("os.execv('/bin/true', ['true'])", "calls"),
    "signal": ("os.kill(os.getppid(), 0)", "calls"),
}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux confines a process without privileges")
def test_a_child_that_was_taken_over_gets_nowhere(
    forms: Forms, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "credentials").write_text("canary")
    prevented = confined()
    if not prevented:
        pytest.skip("the kernel here confines nothing")
    code = [f"HOME = {str(tmp_path)!r}", "done = []"]
    for name, (act, by) in TRIED.items():
        if by in prevented:
            code += ["try:", f"    {act}; done.append({name!r})", "except OSError:", "    pass"]
    code.append("replies.write(json.dumps({'kind': 'none', 'sha256': '', 'why': f'done {done}'}) + '\\n')")
    takes_over(monkeypatch, *code)
    assert ask(forms, TABLE).why == "done []"
    assert not (tmp_path / "new").exists()


def test_a_child_inherits_the_content_and_nothing_else(
    forms: Forms, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    takes_over(
        monkeypatch,
        "found = []",
        "for number in range(64):",
        "    try:",
        "        found.append(os.fstat(number).st_ino)",
        "    except OSError:",
        "        pass",
        "names = ' '.join(sorted(os.environ))",
        "said = {'kind': 'none', 'sha256': '', 'why': f'{names}; {len(found)}; {INODE in found}'}",
        "replies.write(json.dumps(said) + '\\n')",
    )
    with open(tmp_path / "open elsewhere", "w", encoding="utf-8") as file:
        os.set_inheritable(file.fileno(), True)
        monkeypatch.setattr(limited, "_CODE", limited._CODE.replace("INODE", str(os.fstat(file.fileno()).st_ino)))
        said = ask(forms, TABLE).why
    assert os.environ["DATA_PLATFORM_DATABASE__PASSWORD"] == "canary"
    names, *found = said.split("; ")
    # Python itself and macOS add the last two.
    assert {*names.split()} - {"LC_CTYPE", "__CF_USER_TEXT_ENCODING"} == {*limited.ENVIRONMENT}
    assert found == ["5", "False"]  # input, replies, twice nowhere, and the content


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize(("mode", "becomes"), [(0o755, "(65534, 65534, 65534) []"), (0o700, "(0, 0, 0) []")])
def test_root_becomes_nobody_where_nobody_can_read_python(mode: int, becomes: str) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as python:
        Path(python).chmod(mode)
        code = (
            "import os, sys; from pathlib import Path; from populate.duplicates.forms.confine import _become_nobody\n"
            "_become_nobody([Path(sys.argv[1])]); print(os.getresuid(), os.getgroups())"
        )
        command = [sys.executable, "-c", code, python]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == becomes


def test_that_no_child_can_start_says_nothing_about_a_content(
    forms: Forms, children: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("populate.duplicates.forms.limited._CODE", "raise SystemExit(1)")
        with pytest.raises(DataPlatformError, match="does not start"):
            ask(forms, TABLE)
    with forms:
        assert ask(forms, TABLE).kind == "table"
    assert all(child.returncode is not None for child in children)


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there: list[list[Path]] = []
    start = Forms._start

    def noted(self: Forms, content: int) -> subprocess.Popen[bytes]:
        there.append(list(tmp_path.iterdir()))
        return start(self, content)

    monkeypatch.setattr(Forms, "_start", noted)
    with Forms(Limits(MIB, 512 * MIB, 60), tmp_path) as forms:
        ask(forms, TABLE)
    assert there == [[]]  # the content has no name even while it is looked at
    assert list(tmp_path.iterdir()) == []
