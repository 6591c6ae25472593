"""The limited process that parses bytes of a stranger: one line in for a content, one line out for its form.

Other things than forms are made of contents in the same way: see `Answer`.

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
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib import import_module
from importlib.util import find_spec
from typing import IO, Any, TextIO

from populate.duplicates.forms.confine import confine
from populate.duplicates.forms.form import NONE, READY, Form
from populate.duplicates.forms.recognise import Opened, T, form_of

LONGEST_REASON = 200
PARSERS = ("pyarrow", "python_calamine")

Answer = Callable[[Opened, Mapping[str, Any]], Mapping[str, object]]
"""Gets what opens the content, and the question about it; what it returns is the reply, in JSON."""


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


def answer(opened: Opened, question: Mapping[str, Any]) -> Mapping[str, object]:
    """Return the form of a content, or the reason why it has none."""
    return asdict(attempt(lambda: form_of(opened, question["size"], question["sha256"]), _no_form))


def _no_form(why: str) -> Form:
    return Form(NONE, "", why=why)


def attempt(act: Callable[[], T], failed: Callable[[str], T]) -> T:
    """Return what `act` does, or of whatever goes wrong in it what `failed` makes of the reason."""
    try:
        return act()
    except MemoryError:
        return failed("it takes more memory than it may")
    except Exception as error:  # parsers raise what they like
        reason = (f"{type(error).__name__}: {error}".splitlines() or [""])[0]
        return failed(reason[:LONGEST_REASON])


def serve(content: int, replies: TextIO, seconds: int, answer: Answer = answer) -> None:
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
        replies.write(json.dumps(answer(opened, question)) + "\n")
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
    tasks = [import_module(name).answer for name in sys.argv[4:]]  # our own code cannot be read later
    confine(PARSERS)
    limit(memory)
    replies.write(READY)
    replies.flush()
    serve(content, replies, seconds, *tasks)


if __name__ == "__main__":
    main()
