"""Looks whether copies that their owners wanted to remove are still at their sources.

Only a source that is there and says "not there" counts (`populate.conversation.presence`). One that
cannot be reached, a disk that is not mounted here or a refusal says nothing, so nothing is written down.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from data_platform.errors import DataPlatformError
from data_platform.settings import Settings
from populate.conversation.presence import Presence
from populate.conversation.questions import QuestionCopyGone
from populate.conversation.statements import ask
from populate.lookup import add
from schemas.binding import Binding
from schemas.catalogue import FileGone

FOR = timedelta(days=90)  # after the answer
AT_MOST = 500  # copies looked for at once, the latest answers first
GIVE_UP_AFTER = 3  # failures of a source system in a row


def revisit(binding: Binding, settings: Settings, now: datetime) -> int:
    """Look for withdrawn copies with the credentials of this process; return how many are gone now."""
    promised = [row for row in ask(binding, "promises") if row[7] is None and row[6] > now - FOR]
    promised = promised[-AT_MOST:]
    seen = _last_seen(binding, promised)
    presence = Presence(binding, settings)
    failed: Counter[str] = Counter()
    gone = 0
    for row in reversed(promised):
        question, file, version, _, sha256, _, answered_at, _, system, item, kind = row
        if failed[system] >= GIVE_UP_AFTER:
            continue
        try:
            is_gone = presence.is_gone(kind, system, item, file, seen.get((file, sha256), answered_at))
        except (DataPlatformError, OSError, NotImplementedError):
            failed[system] += 1
            continue
        failed[system] = 0
        if is_gone:
            gone += 1
            binding.ensure()
            add(FileGone, [{"file_id": file, "gone_on": now.date()}])
            key = {"question_id": question, "file_id": file, "version_id": version}
            add(QuestionCopyGone, [{**key, "gone_seen_at": now}])
    return gone


def _last_seen(binding: Binding, promised: Sequence[tuple[Any, ...]]) -> dict[tuple[str, str], datetime]:
    """Return when each of the contents was last read from its file."""
    files = {row[1] for row in promised}
    return {(file, content): moment for file, content, moment in ask(binding, "last_seen", files=files)}
