"""A process that puts content into a folder and is killed, or starved, while it does.

``python store_victim.py put ROOT SEED SIZE`` puts one content. ``python store_victim.py lines
ROOT`` forks a child for every line of the store's code that a put runs through, and kills it
there; it prints after how many lines the put was done. ``python store_victim.py moments ROOT
TIMES`` does the same at random moments.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from data_platform.errors import StoreFull
from populate.store.folder import FolderStore

SIZE = 300_000
PIECE = 65_536


def content_of(seed: int, size: int = SIZE) -> bytes:
    return random.Random(seed).randbytes(size)


def put(root: Path, seed: int, size: int = SIZE) -> None:
    content = content_of(seed, size)
    with FolderStore(root).writer(hashlib.sha256(content).hexdigest(), size) as writer:
        for start in range(0, size, PIECE):
            writer.write(content[start : start + PIECE])
        writer.commit()


def in_child(work: Callable[..., None], *arguments: Any) -> int:
    """Run `work` in a fork; return its process id."""
    child = os.fork()
    if child:
        return child
    try:
        work(*arguments)
        os._exit(0)
    except BaseException as error:
        print(f"{error!r}", file=sys.stderr, flush=True)
        os._exit(1)


def result_of(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def put_until_line(root: Path, seed: int, last: int) -> None:
    """Put, and be killed before the line number `last` of the store's code runs."""
    seen = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal seen
        if "populate/store" not in frame.f_code.co_filename:
            return None
        if event == "line":
            seen += 1
            if seen == last:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    put(root, seed)


def kill_at_every_line(root: Path) -> None:
    line = 1
    while (code := result_of(in_child(put_until_line, root, line, line))) == -signal.SIGKILL:
        line += 1
    assert code == 0, f"the put that was not killed ended with {code}"
    print(line - 1)


def kill_at_random_moments(root: Path, times: int) -> None:
    started = time.monotonic()
    assert result_of(in_child(put, root, 1_000_000)) == 0
    usual = time.monotonic() - started
    killed = 0
    for seed in range(times):
        child = in_child(put_for_ever, root, seed)
        time.sleep(random.Random(seed).random() * 2 * usual)
        os.kill(child, signal.SIGKILL)
        killed += result_of(child) == -signal.SIGKILL
    print(killed)


def put_for_ever(root: Path, seed: int) -> None:
    for number in range(1_000_000):
        put(root, seed * 1_000_000 + number)


def main() -> None:
    mode, root, *numbers = sys.argv[1:]
    if mode == "lines":
        kill_at_every_line(Path(root))
    elif mode == "moments":
        kill_at_random_moments(Path(root), int(numbers[0]))
    else:
        try:
            put(Path(root), *map(int, numbers))
        except StoreFull:
            sys.exit(28)


if __name__ == "__main__":
    main()
