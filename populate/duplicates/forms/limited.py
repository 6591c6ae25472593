"""Canonical forms of contents, from child processes with limits: whatever a file does, it costs its own form only."""

from __future__ import annotations

import json
import os
import re
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from data_platform.errors import DataPlatformError
from populate.duplicates.forms.form import BYTES, DIGITS, KINDS, NONE, READY, SKETCH, Form
from schemas.identity import display_text

LONGEST_REPLY = 64 * 1024
START_SECONDS = 120.0  # that the child may take to start
SLOWER = 10  # times: of a file's processor seconds, the seconds that may pass meanwhile
WHY = 255
IMPROPER = "the process that parsed it gave no proper answer"
SHARED = 50  # contents that a child is given, one after the other: starting one takes 0.08 s
ENVIRONMENT = {"ARROW_DEFAULT_MEMORY_POOL": "system", "OPENBLAS_NUM_THREADS": "1"}  # of the child; nothing of ours

_ROOT = Path(__file__).parents[3]
# -P: neither the current folder nor the script's is searched for modules.
_CODE = "import sys; sys.path.append(sys.argv.pop(1)); from populate.duplicates.forms.child import main; main()"
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SKETCH = re.compile(rf"([0-9a-f]{{{DIGITS}}}){{0,{SKETCH}}}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may take: bytes of itself and of memory, seconds of processor time."""

    file_bytes: int
    memory_bytes: int
    cpu_seconds: int


class Forms:
    """Finds forms in child processes, each for a few contents; a context manager that ends the last one.

    A content that takes its child over can lie about itself and about those that the same child
    is given after it: never more than `SHARED`, and none once a reply is late, improper or more
    than was asked for. Contents are handed over in a file that never has a name, so that nothing
    is left of them even if this process is killed. What has no form in a child that others were
    given to is looked at once more in a new one, so that it is never their fault.

    Parameters
    ----------
    limits
        What a content may take.
    folder
        Where there is room for one content.
    """

    def __init__(self, limits: Limits, folder: Path) -> None:
        self._limits = limits
        self._folder = folder
        self._child: subprocess.Popen[bytes] | None = None
        self._content: IO[bytes] | None = None
        self._served = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        if self._content is not None:
            self._content.close()
            self._content = None

    def form_of(self, sha256: str, size: int, content: Iterable[bytes]) -> Form:
        """Return the form of a content of `size` bytes with the hash `sha256`, or why it has none."""
        if size > self._limits.file_bytes:
            return Form(BYTES, sha256, why=f"larger than {self._limits.file_bytes} bytes: not opened")
        if self._served >= SHARED or (self._child is not None and not _quiet(self._child)):
            self._end()
        if self._content is None:
            self._content = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - ended by `_end`
        self._content.seek(0)
        self._content.truncate()
        self._content.writelines(content)
        self._content.flush()
        shared = self._served > 0
        found = self._ask(self._content.fileno(), size, sha256)
        if found.kind == NONE and shared:
            self._end()
            found = self._ask(self._content.fileno(), size, sha256)
        return found

    def _ask(self, content: int, size: int, sha256: str) -> Form:
        found: Form | None = None
        try:
            child = self._child = self._child or self._ready(content)
            self._served += 1
            with suppress(BrokenPipeError):  # somebody ended it: there is no reply then
                _tell(child, json.dumps({"size": size, "sha256": sha256}).encode() + b"\n")
            found = _checked(self._reply(child, SLOWER * self._limits.cpu_seconds))
        finally:
            why = self._end() if found is None or found.why == IMPROPER else ""
        return found or Form(NONE, "", why=why)

    def _ready(self, content: int) -> subprocess.Popen[bytes]:
        child = self._start(content)
        # That it cannot start says nothing about a content.
        if self._reply(child, START_SECONDS) != READY.encode():
            _ended(child)
            raise DataPlatformError(
                "The process that looks into contents does not start. Install data_platform[platform] as a "
                "whole, and see that this machine has memory and processes left."
            )
        return child

    def _end(self) -> str:
        """End the child, and return why it ended, if it did so by itself."""
        child, self._child, self._served = self._child, None, 0
        return _ended(child) if child is not None else ""

    def _reply(self, child: subprocess.Popen[bytes], seconds: float) -> bytes | None:
        """Return the line that the child says, or None if it ends, says too much, or nothing for so many seconds."""
        assert child.stdout is not None
        deadline = time.monotonic() + seconds
        said = b""
        with selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ)
            while not said.endswith(b"\n"):
                if len(said) > LONGEST_REPLY or not selector.select(max(0.0, deadline - time.monotonic())):
                    return None
                piece = os.read(child.stdout.fileno(), LONGEST_REPLY)
                if not piece:
                    with suppress(subprocess.TimeoutExpired):  # it may also have closed its end and gone on
                        child.wait(timeout=SLOWER)
                    return None
                said += piece
        return said

    def _start(self, content: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-c", _CODE, str(_ROOT)]
        return subprocess.Popen(
            [*command, str(content), str(self._limits.memory_bytes), str(self._limits.cpu_seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            pass_fds=(content,),  # and no other descriptor
            env=ENVIRONMENT,
            start_new_session=True,
        )


def _ended(child: subprocess.Popen[bytes]) -> str:
    """End the child and return why it ended, if it did so by itself."""
    by_itself = child.poll()
    child.kill()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):  # a question that it did not live to hear
                pipe.close()
    child.wait()
    if by_itself is None:
        return "it takes more time than it may"
    if by_itself == -signal.SIGXCPU:
        return "it takes more processor time than it may"
    return f"the process that parsed it ended ({by_itself})"


def _tell(child: subprocess.Popen[bytes], question: bytes) -> None:
    assert child.stdin is not None
    child.stdin.write(question)
    child.stdin.flush()


def _quiet(child: subprocess.Popen[bytes]) -> bool:
    """Tell whether the child has said nothing that was not asked for, and lives."""
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)  # type: ignore[arg-type]
        return not selector.select(0)


def _checked(line: bytes | None) -> Form | None:
    """Return the form in a reply if it is one, as what was parsed may have said it; None if there was none."""
    if line is None:
        return None
    try:
        said: Any = json.loads(line)
        found = Form(**said)
        whole = (
            found.kind in KINDS
            and (found.sha256 == "" if found.kind == NONE else bool(_SHA256.fullmatch(found.sha256)))
            and isinstance(found.elements, int)
            and 0 <= found.elements < 2**40
            and bool(_SKETCH.fullmatch(found.sketch))
        )
    except (ValueError, TypeError):
        whole = False
    if not whole:
        return Form(NONE, "", why=IMPROPER)
    return Form(found.kind, found.sha256, found.elements, found.sketch, display_text(str(found.why))[:WHY])
