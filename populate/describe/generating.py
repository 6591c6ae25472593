"""Has a language model describe what it has not described yet, each set of facts once."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from string import Template
from typing import Any, NamedTuple

from data_platform.errors import SettingsError, SourceError
from data_platform.redact import redact_text
from populate.describe.model import Model
from populate.describe.summary import content_facts, facts_sha256, run_facts
from populate.describe.tables import ContentFacts, Generated, GeneratedFailed, RunDescription
from populate.lookup import add
from populate.profile.tables import SheetProfile
from populate.profile.view import stored_profile
from schemas.binding import Binding
from schemas.code import RunCode
from schemas.engine import dj
from schemas.identity import ID_DIGITS
from schemas.restrict import where
from schemas.sharing import AccessRun

AT_ONCE = 50
"""Sets of facts that are looked for at a time."""
ATTEMPTS = 3
PAUSE = timedelta(hours=1)  # after which what failed is tried again
DOWN = 3  # failures in a row after which the endpoint is left alone until the next time

_log = logging.getLogger(__name__)

_TRIED = """
  AND NOT EXISTS (SELECT 1 FROM $Generated g WHERE g.facts_sha256 = d.facts_sha256 AND g.model_name = %(model)s)
  AND NOT EXISTS (SELECT 1 FROM $GeneratedFailed f
                  WHERE f.facts_sha256 = d.facts_sha256 AND f.model_name = %(model)s AND f.failed_at > %(since)s)
  AND (SELECT COUNT(*) FROM $GeneratedFailed f
       WHERE f.facts_sha256 = d.facts_sha256 AND f.model_name = %(model)s) < %(attempts)s
"""
# Only of runs whose code says something: of nothing a model makes something up.
_RUNS = f"""
SELECT d.facts_sha256, MIN(CONCAT(d.batch_id, d.execution_id)) FROM $RunDescription d
JOIN $RunCode c ON c.batch_id = d.batch_id AND c.execution_id = d.execution_id
WHERE (c.code_title <> '' OR c.code_outline LIKE %(named)s) {_TRIED}
GROUP BY d.facts_sha256 ORDER BY 2, 1 LIMIT %(at_once)s
"""  # noqa: S608


_NEW_CONTENTS = """
SELECT DISTINCT p.sha256 FROM $SheetProfile p
WHERE p.column_count > 0 AND NOT EXISTS (SELECT 1 FROM $ContentFacts d WHERE d.sha256 = p.sha256)
ORDER BY 1 LIMIT %(at_once)s
"""
_CONTENTS = f"""
SELECT d.facts_sha256, MIN(d.sha256) FROM $ContentFacts d WHERE 1 = 1 {_TRIED}
GROUP BY d.facts_sha256 ORDER BY 1 LIMIT %(at_once)s
"""  # noqa: S608


class Done(NamedTuple):
    """How many sets of facts a model described, and at how many it failed."""

    described: int
    failed: int


def generate_due(binding: Binding, now: datetime | None = None, seconds: float = 600.0) -> Done:
    """Have the model of the settings describe what it has not yet; nothing where none is set.

    Parameters
    ----------
    now
        UTC; the time of the machine unless given.
    seconds
        After which no more is asked.

    Raises
    ------
    SettingsError
        If an endpoint is set and no model.
    UnsafeLink
        If the endpoint must not be asked.
    """
    settings = binding.settings
    if not settings.descriptions.url:
        return Done(0, 0)
    if not settings.descriptions.model:
        raise SettingsError("descriptions.url is set and descriptions.model is not. Name the model.")
    model, now, end = Model(settings), now or datetime.now(UTC).replace(tzinfo=None), time.monotonic() + seconds
    described = failed = in_row = 0
    for sha, facts in _due(binding, model.name, now):
        if time.monotonic() > end or in_row >= DOWN:
            break
        if _describe(model, sha, facts, now):
            described, in_row = described + 1, 0
        else:
            failed, in_row = failed + 1, in_row + 1
    return Done(described, failed)


def _describe(model: Model, sha: str, facts: dict[str, Any], now: datetime) -> bool:
    key = {"facts_sha256": sha, "model_name": model.name}
    try:
        text = model.describe(facts)
    except SourceError as error:
        told = redact_text(str(error))[:255]
        _log.warning("A description was not generated: %s", told)
        GeneratedFailed.insert1({**key, "failed_at": now, "generation_failure": told}, skip_duplicates=True)
        return False
    with suppress(dj.errors.DuplicateError):  # another process was faster
        Generated.insert1({**key, "generated_text": text, "generated_at": now})
    return True


def _due(binding: Binding, model: str, now: datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield facts that the model has not described."""
    binding.ensure()
    tables = (ContentFacts, Generated, GeneratedFailed, RunCode, RunDescription, SheetProfile)
    names = {table.__name__: table().full_table_name for table in tables}
    values = {"model": model, "since": now - PAUSE, "attempts": ATTEMPTS, "at_once": AT_ONCE, "named": '%": [%"%'}
    query = binding.connection.query
    for sha, one in query(Template(_RUNS).substitute(names), values).fetchall():
        yield str(sha), _run_facts(one[:ID_DIGITS], one[ID_DIGITS:])
    _note_contents(query(Template(_NEW_CONTENTS).substitute(names), values).fetchall())
    for sha, content in query(Template(_CONTENTS).substitute(names), values).fetchall():
        if (profile := stored_profile(content)) is not None:
            yield str(sha), content_facts(profile)


def _run_facts(batch: str, run: str) -> dict[str, Any]:
    key = {"batch_id": batch, "execution_id": run}
    return run_facts(where(AccessRun, **key).fetch1(), where(RunCode, **key).fetch1())


def _note_contents(contents: list[tuple[str]]) -> None:
    """Write down which facts there are of contents that were profiled since the last time."""
    profiles = [profile for (content,) in contents if (profile := stored_profile(content)) is not None]
    rows = [{"sha256": profile.sha256, "facts_sha256": facts_sha256(content_facts(profile))} for profile in profiles]
    add(ContentFacts, rows)
