"""What an application may use: units in a window of time, and the headers that warn of its end."""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass, field

WARNING = 0.8
_COSTS = (
    (re.compile(r"/(permissions|createLink|invite)\b"), 5),
    (re.compile(r"/delta\b.*[?&]token="), 1),
    (re.compile(r"/(delta|children|versions|drives|sites)\b[^/]*\Z"), 2),
    (re.compile(r"/(drives?|sites|shares)\b"), 1),
)


def units(target: str) -> int:
    """Return what a request costs: 5 for permissions, 2 for lists, 1 for one item, nothing outside of files."""
    return next((cost for expression, cost in _COSTS if expression.search(target)), 0)


@dataclass
class Budget:
    """At most `limit` units in each window; further requests are told to wait until the next begins."""

    limit: int
    seconds: float = 60.0
    refused: int = 0
    _used: dict[str, tuple[float, int]] = field(default_factory=dict)

    def spend(self, who: str, target: str) -> tuple[dict[str, str], float]:
        """Return the headers for the answer, and how long to wait: 0 if the request is within the budget."""
        now = time.monotonic()
        began, used = self._used.get(who, (now, 0))
        if now >= began + self.seconds:
            began, used = now, 0
        left = began + self.seconds - now
        cost = units(target)
        over = used + cost > self.limit
        used += 0 if over else cost
        self._used[who] = (began, used)
        self.refused += over
        return self._headers(used, left), left if over else 0.0

    def _headers(self, used: int, left: float) -> dict[str, str]:
        if used < WARNING * self.limit:
            return {}
        remaining, reset = str(max(self.limit - used, 0)), str(math.ceil(left))
        return {"RateLimit-Limit": str(self.limit), "RateLimit-Remaining": remaining, "RateLimit-Reset": reset}
