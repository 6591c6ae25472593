"""Canonical forms of contents, from a child process with limits: whatever a file does, it costs its own form only."""

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
from types import TracebackType
from typing import Any, Self

from data_platform.errors import DataPlatformError
from populate.duplicates.forms.form import BYTES, DIGITS, KINDS, NONE, READY, SKETCH, Form
from schemas.identity import display_text

LONGEST_REPLY = 64 * 1024
START_SECONDS = 120.0  # that the child may take to start
SLOWER = 10  # times: of a file's processor seconds, the seconds that may pass meanwhile
WHY = 255

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
    """Finds forms in a child process, which is started when first needed and again when it was killed.

    A context manager: at its end the child is gone. Contents are handed to it in a file that
    never has a name, so that nothing is left of them even if this process is killed.

    Parameters
    ----------
    limits
        What a content may take.
    folder
        Where there is room for one content.
    """

    def __init__(self, limits: Limits, folder: Path) -> None:
        self._limits = limits
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115  (closed at exit)
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()
        self._file.close()

    def form_of(self, sha256: str, size: int, content: Iterable[bytes]) -> Form:
        """Return the form of a content of `size` bytes with the hash `sha256`, or why it has none."""
        if size > self._limits.file_bytes:
            return Form(BYTES, sha256, why=f"larger than {self._limits.file_bytes} bytes: not opened")
        self._file.seek(0)
        self._file.truncate()
        with os.fdopen(os.dup(self._file.fileno()), "wb") as file:
            file.writelines(content)
        return self._ask(size, sha256)

    def _ask(self, size: int, sha256: str) -> Form:
        question = json.dumps({"size": size, "sha256": sha256}).encode() + b"\n"
        child = self._child or self._started()
        try:
            _tell(child, question)
        except BrokenPipeError:  # somebody ended it while it had nothing to do
            self._end()
            child = self._started()
            _tell(child, question)
        line = self._reply(child, SLOWER * self._limits.cpu_seconds)
        return _checked(line) if line is not None else Form(NONE, "", why=self._end())

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

    def _started(self) -> subprocess.Popen[bytes]:
        """Start a child and wait until it is ready: that it cannot start says nothing about a content."""
        self._child = self._start()
        if self._reply(self._child, START_SECONDS) != READY.encode():
            self._end()
            raise DataPlatformError(
                "The process that looks into contents does not start. Install data_platform[platform] as a whole, "
                "and see that this machine has memory and processes left."
            )
        return self._child

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-c", _CODE, str(_ROOT)]
        content = self._file.fileno()
        return subprocess.Popen(
            [*command, str(content), str(self._limits.memory_bytes), str(self._limits.cpu_seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            pass_fds=(content,),
            env={"ARROW_DEFAULT_MEMORY_POOL": "system", "OPENBLAS_NUM_THREADS": "1", "PATH": os.defpath},
            start_new_session=True,
        )

    def _end(self) -> str:
        """End the child and return why it ended, if it did so by itself."""
        child, self._child = self._child, None
        if child is None:
            return ""
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


def _checked(line: bytes) -> Form:
    """Return the form in a reply, if it is one: what was parsed may have said it."""
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
        return Form(NONE, "", why="the process that parsed it gave no proper answer")
    return Form(found.kind, found.sha256, found.elements, found.sketch, display_text(str(found.why))[:WHY])
