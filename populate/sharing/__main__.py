"""One sync of sharing, as the scheduler runs it: ``python -m populate.sharing``."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from data_platform.errors import DataPlatformError
from data_platform.logs import log_to_stderr
from data_platform.redact import redact_text
from data_platform.settings import settings
from populate.pipeline import bind_all
from populate.sharing.progress import Silent
from populate.sharing.sync import sync_sharing

_log = logging.getLogger("populate.sharing")


def main(arguments: Sequence[str] | None = None) -> int:
    """Sync with the settings of the process; what could not be asked is logged."""
    parser = argparse.ArgumentParser(prog="python -m populate.sharing", description=main.__doc__)
    parser.add_argument("--noticed", action="store_true", help="only drives that are said to have changed")
    noticed = parser.parse_args(arguments).noticed
    log_to_stderr(settings().log, "sharing")
    try:
        done = sync_sharing(bind_all(settings()), settings(), noticed=noticed, progress=Silent())
    except DataPlatformError as error:
        _log.error("Sharing could not be synced: %s", redact_text(str(error)))
        return 1
    for name, reason in done.refused.items():
        _log.warning("%s could not be asked: %s", name, reason)
    _log.info(
        "%d drives asked, %d items changed, %d grants, %d ended.", done.drives, done.items, done.granted, done.ended
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
