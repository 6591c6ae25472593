"""The service that makes the search index before anybody asks, and keeps it: of its machine, or of the server.

Who searches brings the index of a machine up to date as well; but the first one would wait until it is made, and nobody
would compare it with the tables where no scheduler shares its folder, as in containers. That of the server is kept by
one such service, wherever it runs, for a dashboard may not write it; others stand by.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from data_platform.logs import log_to_stderr
from data_platform.settings import Settings
from populate.pipeline import bind_all
from populate.search.following import advance, assert_can_keep, how_far, index_of
from populate.watch.service import monitored
from populate.work.errands import Errand
from populate.work.stopping import Stop, repeat
from schemas.binding import Binding

MAKE_SECONDS = 2.0  # that are spent on making the index between two beats
FOLLOW_SECONDS = 5.0  # between two looks at what has changed
CHECK_SECONDS = 86400.0  # between two comparisons with the tables


def keep_index(settings: Settings) -> None:
    """Make the index, and keep it up to date and checked, until SIGTERM or Ctrl-C.

    To be called in the main thread. Killed at any time, the next one goes on.

    Raises
    ------
    DatabaseUnavailable
        If no connection can be had at the start.
    DatabaseError
        If the index is on the server and this login may not write it.
    """
    log_to_stderr(settings.log, "search")
    with Stop.on_signals() as stop:
        binding = bind_all(settings)
        assert_can_keep(binding)
        checking = Errand("populate.search", CHECK_SECONDS)
        try:
            with monitored(settings, binding, stale_seconds=settings.monitor.stale_seconds, store=False) as service:
                step = partial(_round, binding, checking, service.beat)
                repeat(
                    stop,
                    binding.ensure,
                    step,
                    lambda: False,
                    pause=FOLLOW_SECONDS,
                    longest=FOLLOW_SECONDS,
                    name="index",
                )
        finally:
            checking.end()


def _round(binding: Binding, checking: Errand, beat: Callable[[], None]) -> int:
    before = how_far(binding)
    if advance(binding, MAKE_SECONDS):
        index_of(binding)
        if _meaning_is_whole(binding):
            checking.tend()  # not before, for it would make all that is missing, and nobody else could meanwhile
    beat()
    return int(how_far(binding) != before)  # else another process is at it, or there is nothing to do


def _meaning_is_whole(binding: Binding) -> bool:
    if not binding.settings.search.semantic:
        return True
    from populate.search.meaning import advance_meaning

    return advance_meaning(binding, MAKE_SECONDS)
