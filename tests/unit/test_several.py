"""How files are divided among threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from populate.adopt.contents import several
from populate.backup.contents import THREADS


@pytest.mark.parametrize("number", [0, 1, 7, 16, 250, 1003])
def test_everything_is_worked_on_once_and_comes_in_order(number: int) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        assert list(several(pool, str, range(number))) == [str(one) for one in range(number)]


def test_few_files_have_a_thread_each() -> None:
    together = Barrier(THREADS, timeout=60)  # breaks unless all of them are under way at once
    with ThreadPoolExecutor(THREADS) as pool:
        assert len(list(several(pool, lambda _: together.wait(), range(THREADS)))) == THREADS
