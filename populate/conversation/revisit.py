"""Looks whether copies that their owners wanted to remove are still at their sources.

Only a source that answers and says "not there" counts. A source that cannot be reached, a share
that is not mounted here or a refusal says nothing, so nothing is written down.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from data_platform.errors import DataPlatformError, SourceNotFound
from data_platform.settings import Settings
from populate.conversation.questions import QuestionCopyGone
from populate.conversation.statements import ask
from populate.lookup import add
from readers.registry import source_of_kind
from schemas.binding import Binding
from schemas.catalogue import FileGone

FOR = timedelta(days=90)  # after the answer
AT_MOST = 500  # copies looked for at once, the latest answers first
GIVE_UP_AFTER = 3  # failures of a source system in a row


def revisit(binding: Binding, settings: Settings, now: datetime) -> int:
    """Look for withdrawn copies with the credentials of this process; return how many are gone now."""
    promised = [row for row in ask(binding, "promises") if row[7] is None and row[6] > now - FOR]
    failed: Counter[str] = Counter()
    gone = 0
    for row in reversed(promised[-AT_MOST:]):
        question, file, version, *_, system, item, kind = row
        if failed[system] >= GIVE_UP_AFTER:
            continue
        try:
            there = _is_there(settings, kind, system, item)
        except (DataPlatformError, OSError, NotImplementedError):
            failed[system] += 1
            continue
        failed[system] = 0
        if not there:
            gone += 1
            binding.ensure()
            add(FileGone, [{"file_id": file, "gone_on": now.date()}])
            key = {"question_id": question, "file_id": file, "version_id": version}
            add(QuestionCopyGone, [{**key, "gone_seen_at": now}])
    return gone


def _is_there(settings: Settings, kind: str, system: str, item: str) -> bool:
    """Ask the source; raises what it raises when it cannot tell."""
    source = source_of_kind(kind, settings)
    try:
        source.revision(source.reopen(system, item))
    except SourceNotFound:
        return False
    return True
