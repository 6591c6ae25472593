"""One round of events for an OpenLineage backend, as the scheduler runs it: ``python -m populate.lineage``."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from data_platform.errors import DataPlatformError
from data_platform.logs import log_to_stderr
from data_platform.redact import redact_text
from data_platform.settings import settings
from populate.lineage.emitting import emit_due
from populate.pipeline import bind_all

_log = logging.getLogger("populate.lineage")


def main(arguments: Sequence[str] | None = None) -> int:
    """Tell the backend of the settings what runs read and wrote since; what fails is logged, and tried again later."""
    argparse.ArgumentParser(prog="python -m populate.lineage", description=main.__doc__).parse_args(arguments)
    log_to_stderr(settings().log, "lineage")
    try:
        done = emit_due(bind_all(settings()))
    except DataPlatformError as error:
        _log.error("The OpenLineage backend was not told everything: %s", redact_text(str(error)))
        return 1
    _log.info(
        "%d events of %d deliveries were sent, %d deliveries refused.", done.events, done.deliveries, done.refused
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
