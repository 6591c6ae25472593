"""Compares the search index with the tables once; the scheduler runs it every day."""

from __future__ import annotations

import logging

from data_platform.errors import DataPlatformError
from data_platform.logs import log_to_stderr
from data_platform.redact import redact_text
from data_platform.settings import settings
from populate.pipeline import bind_all
from populate.search.following import check

_log = logging.getLogger("populate.search")


def main() -> int:
    """Check the index, put right what differs, and say how much that was."""
    log_to_stderr(settings().log, "search")
    try:
        found = check(bind_all(settings()))
    except DataPlatformError as error:
        _log.error("The search index could not be checked: %s", redact_text(str(error)))
        return 1
    if found.wrong:
        _log.warning("The search index was wrong about %d of %d files; it has been put right.", *reversed(found))
    else:
        _log.info("The search index is what the tables say, for all of %d files.", found.files)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
