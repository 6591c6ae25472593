"""The limited process that parses bytes of a stranger: one line in for a content, one line out for its form.

It limits itself before it reads anything: memory, processor time, open files, not a byte
written to any disk, and what `confine` says. It has no settings, no credentials in its
environment and no connection; what it says is checked by `limited.Forms`, as whatever was
parsed may speak through it. For the same reason it serves a few contents and ends.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from dataclasses import asdict
from importlib.util import find_spec
from typing import IO, TextIO

from populate.duplicates.forms.confine import confine
from populate.duplicates.forms.form import NONE, READY, Form
from populate.duplicates.forms.recognise import Opened, form_of

LONGEST_REASON = 200
PARSERS = ("pyarrow", "python_calamine")


def limit(memory: int) -> None:
    """Give up what parsing does not need, for good."""
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 64),
    ):
        hard = resource.getrlimit(what)[1]
        resource.setrlimit(what, (most, most) if hard == resource.RLIM_INFINITY or most < hard else (hard, hard))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the worker, which ends this


def answer(opened: Opened, size: int, sha256: str) -> Form:
    """Return the form of a content, or the reason why it has none."""
    try:
        return form_of(opened, size, sha256)
    except MemoryError:
        return Form(NONE, "", why="it takes more memory than it may")
    except Exception as error:  # parsers raise what they like
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        return Form(NONE, "", why=reason[:LONGEST_REASON])


def serve(content: int, replies: TextIO, seconds: int) -> None:
    """Answer what is asked until nothing is; each answer may take so many seconds of processor time.

    Each content is in the file that `content` is the descriptor of: it has no name, so nothing
    is left of it, however all this ends.
    """

    def opened() -> IO[bytes]:
        file = os.fdopen(os.dup(content), "rb")
        file.seek(0)
        return file

    for line in iter(sys.stdin.readline, ""):
        question = json.loads(line)
        used = resource.getrusage(resource.RUSAGE_SELF)
        most = int(used.ru_utime + used.ru_stime) + seconds + 1
        resource.setrlimit(resource.RLIMIT_CPU, (most, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        replies.write(json.dumps(asdict(answer(opened, question["size"], question["sha256"]))) + "\n")
        replies.flush()


def main() -> None:
    """Serve on standard input and output; libraries that print do so to nowhere."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    content, memory, seconds = map(int, sys.argv[1:4])
    if not all(map(find_spec, PARSERS)):
        raise SystemExit(1)  # nothing that could be said of a content would be true elsewhere
    confine(PARSERS)
    limit(memory)
    replies.write(READY)
    replies.flush()
    serve(content, replies, seconds)


if __name__ == "__main__":
    main()
