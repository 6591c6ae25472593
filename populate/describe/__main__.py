"""One round of descriptions by a language model, as the scheduler runs it: ``python -m populate.describe``."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from data_platform.errors import DataPlatformError
from data_platform.logs import log_to_stderr
from data_platform.redact import redact_text
from data_platform.settings import settings
from populate.describe.generating import generate_due
from populate.pipeline import bind_all

_log = logging.getLogger("populate.describe")


def main(arguments: Sequence[str] | None = None) -> int:
    """Have the model of the settings describe what it has not yet; what fails is logged, and tried again later."""
    argparse.ArgumentParser(prog="python -m populate.describe", description=main.__doc__).parse_args(arguments)
    log_to_stderr(settings().log, "descriptions")
    try:
        done = generate_due(bind_all(settings()))
    except DataPlatformError as error:
        _log.error("No descriptions were generated: %s", redact_text(str(error)))
        return 1
    _log.info("%d descriptions generated, %d failed.", done.described, done.failed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
