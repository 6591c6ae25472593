"""One sync of people if it is due, as the scheduler runs it: ``python -m populate.directory``."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from data_platform.errors import DataPlatformError
from data_platform.logs import log_to_stderr
from data_platform.redact import redact_text
from data_platform.settings import settings
from populate.directory.request import Request, is_due, sync_people
from populate.pipeline import bind_all

_log = logging.getLogger("populate.directory")


def main(arguments: Sequence[str] | None = None) -> int:
    """Sync with the settings of the process, if that was longest ago; what is left as it is is logged."""
    argparse.ArgumentParser(prog="python -m populate.directory", description=main.__doc__).parse_args(arguments)
    log_to_stderr(settings().log, "people")
    try:
        binding = bind_all(settings())
        if not is_due(binding, settings()):
            return 0
        done = sync_people(binding, Request(), say=lambda text: _log.info("%s", redact_text(text)))
    except DataPlatformError as error:
        _log.error("People could not be synced: %s", redact_text(str(error)))
        return 1
    for sentence in done.odd:
        _log.warning("%s", redact_text(sentence))
    _log.info("%d accounts told, %d new, %d changed, %d people left.", done.told, done.new, done.changed, done.left)
    return 0


if __name__ == "__main__":
    sys.exit(main())
