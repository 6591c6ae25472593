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
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, ClassVar, Generic, Self, TypeVar

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


T = TypeVar("T")


class Limited(ABC, Generic[T]):
    """Makes something of contents in child processes, each for a few; a context manager that ends the last one.

    A content that takes its child over can lie about itself and about those that the same child
    is given after it: never more than `SHARED`, and none once a reply is late, improper or more
    than was asked for. Contents are handed over in a file that never has a name, so that nothing
    is left of them even if this process is killed. What nothing could be made of in a child that
    others were given to is looked at once more in a new one, so that it is never their fault.

    Parameters
    ----------
    limits
        What a content may take.
    folder
        Where there is room for one content.
    """

    task: ClassVar[str] = ""
    """Module with the function `answer` (see `child.Answer`) that a child runs; empty = forms."""
    longest: ClassVar[int] = LONGEST_REPLY
    """Bytes of a reply, at most."""

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

    @abstractmethod
    def _checked(self, line: bytes) -> T | None:
        """Return what a reply says, or None if it is none that a child would make."""

    @abstractmethod
    def _failed(self, why: str) -> T:
        """Return what stands for a content of which nothing could be made."""

    @abstractmethod
    def _is_failure(self, found: T) -> bool:
        """Tell whether nothing could be made of a content."""

    def _made(self, question: Mapping[str, object], content: Iterable[bytes]) -> T:
        """Return what a child answers about a content."""
        if self._served >= SHARED or (self._child is not None and not _quiet(self._child)):
            self._end()
        if self._content is None:
            self._content = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - ended by `_end`
        self._content.seek(0)
        self._content.truncate()
        self._content.writelines(content)
        self._content.flush()
        shared = self._served > 0
        found = self._ask(self._content.fileno(), question)
        if self._is_failure(found) and shared:
            self._end()
            found = self._ask(self._content.fileno(), question)
        return found

    def _ask(self, content: int, question: Mapping[str, object]) -> T:
        line: bytes | None = None
        found: T | None = None
        try:
            child = self._child = self._child or self._ready(content)
            self._served += 1
            with suppress(BrokenPipeError):  # somebody ended it: there is no reply then
                _tell(child, json.dumps(question).encode() + b"\n")
            line = self._reply(child, SLOWER * self._limits.cpu_seconds)
            found = None if line is None else self._checked(line)
        finally:
            why = self._end() if found is None else ""
        if found is None:
            return self._failed(why if line is None else IMPROPER)
        return found

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
                if len(said) > self.longest or not selector.select(max(0.0, deadline - time.monotonic())):
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
        task = [self.task] if self.task else []
        return subprocess.Popen(
            [*command, str(content), str(self._limits.memory_bytes), str(self._limits.cpu_seconds), *task],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            pass_fds=(content,),  # and no other descriptor
            env=ENVIRONMENT,
            start_new_session=True,
        )


class Forms(Limited[Form]):
    """Finds forms."""

    def form_of(self, sha256: str, size: int, content: Iterable[bytes]) -> Form:
        """Return the form of a content of `size` bytes with the hash `sha256`, or why it has none."""
        if size > self._limits.file_bytes:
            return Form(BYTES, sha256, why=f"larger than {self._limits.file_bytes} bytes: not opened")
        return self._made({"size": size, "sha256": sha256}, content)

    def _checked(self, line: bytes) -> Form | None:
        found = _checked(line)
        return None if found.why == IMPROPER else found

    def _failed(self, why: str) -> Form:
        return Form(NONE, "", why=why)

    def _is_failure(self, found: Form) -> bool:
        return found.kind == NONE


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


def _checked(line: bytes) -> Form:
    """Return the form in a reply if it is one, as what was parsed may have said it."""
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
