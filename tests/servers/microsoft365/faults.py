"""What goes wrong on demand."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from servers.microsoft365.budget import Budget
from servers.microsoft365.samples import samples
from servers.microsoft365.web import Answer, Refusal, Request

THROTTLED, THROTTLED_CODE = "Please retry again later.", "TooManyRequests"
UNAVAILABLE = "General exception while processing."


@dataclass
class Fault:
    """What is answered to the next `times` requests whose method and target match; `fired` counts them."""

    status: int
    code: str
    pattern: str
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    inner: tuple[str, ...] = ()
    body: bytes = b""
    act: Callable[[], object] | None = None
    fired: int = 0

    def applies(self, asked: str) -> bool:
        return self.fired < self.times and re.search(self.pattern, asked) is not None


@dataclass
class Faults:
    """Faults that are due, and who did not wait although told to.

    With `throttle_every` and `fail_every` each n-th request meets one; `wait_seconds` is what
    Retry-After says. `impatient` are the requests of an application that came while it was told
    to wait: exactly, if it asks one thing at a time. One that asks several has some under way
    when it is told; `grace_seconds` is how long those may take.
    """

    throttle_every: int = 0
    fail_every: int = 0
    wait_seconds: float = 0.128
    grace_seconds: float = 0.0
    budget: Budget | None = None
    planned: list[Fault] = field(default_factory=list)
    replays: list[Fault] = field(default_factory=list)
    cuts: list[Fault] = field(default_factory=list)
    impatient: list[str] = field(default_factory=list)
    throttled: int = 0
    failed: int = 0
    seen: int = 0

    def __post_init__(self) -> None:
        self._waits: dict[str, tuple[float, float]] = {}

    def plan(self, status: int, code: str, pattern: str = "", times: int = 1, *inner: str, **headers: str) -> Fault:
        """Answer the next requests (as ``GET /v1.0/users``) that match with an error.

        Downloads are matched as ``download /sites/…``, and only by patterns that begin so.
        """
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        fault = Fault(status, code, pattern, times, named, inner)
        self.planned.append(fault)
        return fault

    def throttle(self, pattern: str = "", times: int = 1, retry_after: str = "0.128", status: int = 429) -> Fault:
        """Tell the next requests that match to wait, in seconds or until a date."""
        code = THROTTLED_CODE if status == 429 else "serviceNotAvailable"
        return self.plan(status, code, pattern, times, Retry_After=retry_after)

    def replay(self, name: str, pattern: str, times: int = 1, **headers: str) -> Fault:
        """Answer the next requests that match with what the vendor prints, as ``graph/drive_get.json``."""
        sample = samples()[name]
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        fault = Fault(sample.status or 200, "", pattern, times, named, body=sample.content)
        self.replays.append(fault)
        return fault

    def replayed(self, request: Request) -> Answer | None:
        """Return the sample that a request is answered with, if one is due."""
        for fault in self.replays:
            if fault.applies(f"{request.method} {request.target}"):
                fault.fired += 1
                headers = {"Content-Type": "application/json; charset=utf-8", **fault.headers}
                return Answer(fault.status, fault.body, headers)
        return None

    def cut_downloads(self, pattern: str = "", times: int = 1, act: Callable[[], object] | None = None) -> Fault:
        """End the next downloads in the middle; then, if told, do something, as change the item."""
        fault = Fault(0, "", pattern, times, act=act)
        self.cuts.append(fault)
        return fault

    def meet(self, request: Request) -> None:
        """Raise the fault that a request meets, if one is due."""
        self.seen += 1
        asked, who = f"{request.method} {request.target}", request.grant.application.client_id
        begins, ends = self._waits.get(who, (0.0, 0.0))
        if not request.in_batch and begins <= time.monotonic() < ends:  # parts of a batch were on their way
            self.impatient.append(asked)
        for fault in self.planned:
            if not fault.pattern.startswith("download") and fault.applies(asked):
                fault.fired += 1
                raise self._refusal(fault, who)
        if self.throttle_every and self.seen % self.throttle_every == 0:
            raise self._throttled(who, self.wait_seconds)
        if self.fail_every and self.seen % self.fail_every == 0:
            self.failed += 1
            raise Refusal(500, "generalException", UNAVAILABLE, "generalException")
        self._spend(request, who)

    def _spend(self, request: Request, who: str) -> None:
        if self.budget is not None:
            headers, wait = self.budget.spend(who, request.target)
            request.notes |= headers
            if wait:
                raise self._throttled(who, wait)

    def _throttled(self, who: str, seconds: float) -> Refusal:
        self.throttled += 1
        fault = Fault(429, THROTTLED_CODE, "", headers={"Retry-After": f"{seconds:.3f}"}, inner=("429",))
        return self._refusal(fault, who)

    def _refusal(self, fault: Fault, who: str) -> Refusal:
        if wait := _seconds(fault.headers.get("Retry-After", "")):
            now = time.monotonic()
            self._waits[who] = (now + self.grace_seconds, max(now + wait, self._waits.get(who, (0.0, 0.0))[1]))
        named = {name.replace("-", "_"): value for name, value in fault.headers.items()}
        message = THROTTLED if fault.status in (429, 503) else UNAVAILABLE
        return Refusal(fault.status, fault.code, message, *fault.inner, **named)

    def download(self, target: str) -> Answer | None:
        """Return what is answered instead of bytes, if a fault is planned for a download."""
        for fault in self.planned:
            if fault.pattern.startswith("download") and fault.applies(f"download {target}"):
                fault.fired += 1
                return Answer(fault.status, b"", fault.headers)
        return None

    def cut(self, target: str) -> bool:
        """Tell whether a download ends in the middle."""
        for fault in self.cuts:
            if fault.applies(target):
                fault.fired += 1
                if fault.act is not None:
                    fault.act()
                return True
        return False


def _seconds(text: str) -> float:
    """Return how long a Retry-After tells to wait, be it in seconds or until a date."""
    if re.fullmatch(r"[0-9.]+", text):
        return float(text)
    return max((parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds(), 0.0) if text else 0.0
