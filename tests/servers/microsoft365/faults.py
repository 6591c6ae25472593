"""What goes wrong on demand."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field

from servers.microsoft365.web import Answer, Refusal, Request

THROTTLED = ("TooManyRequests", "Please retry again later.")


@dataclass
class Fault:
    """What is answered to the next `times` requests whose method and target match; `fired` counts them."""

    status: int
    code: str
    pattern: str
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    inner: tuple[str, ...] = ()
    fired: int = 0

    def applies(self, asked: str) -> bool:
        return self.fired < self.times and re.search(self.pattern, asked) is not None


@dataclass
class Faults:
    """Faults that are due, and who did not wait although told to.

    With `throttle_every` and `fail_every` each n-th request meets one; `wait_seconds` is what
    Retry-After says.
    """

    throttle_every: int = 0
    fail_every: int = 0
    wait_seconds: float = 0.128
    planned: list[Fault] = field(default_factory=list)
    cuts: list[Fault] = field(default_factory=list)
    impatient: list[str] = field(default_factory=list)
    throttled: int = 0
    failed: int = 0
    seen: int = 0

    def __post_init__(self) -> None:
        self._wait_until: dict[str, float] = {}

    def plan(self, status: int, code: str, pattern: str = "", times: int = 1, *inner: str, **headers: str) -> Fault:
        """Answer the next requests (as ``GET /v1.0/users``) that match with an error."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        fault = Fault(status, code, pattern, times, named, inner)
        self.planned.append(fault)
        return fault

    def cut_downloads(self, pattern: str = "", times: int = 1) -> Fault:
        """End the next downloads in the middle."""
        fault = Fault(0, "", pattern, times)
        self.cuts.append(fault)
        return fault

    def meet(self, request: Request) -> None:
        """Raise the fault that a request meets, if one is due."""
        self.seen += 1
        asked, who = f"{request.method} {request.target}", request.grant.application.client_id
        if not request.in_batch and time.monotonic() < self._wait_until.get(who, 0.0):
            self.impatient.append(asked)
        for fault in self.planned:
            if fault.applies(asked):
                fault.fired += 1
                raise self._raised(fault, who)
        if self.throttle_every and self.seen % self.throttle_every == 0:
            self.throttled += 1
            raise self._raised(Fault(429, THROTTLED[0], "", headers={"Retry-After": f"{self.wait_seconds:.3f}"}), who)
        if self.fail_every and self.seen % self.fail_every == 0:
            self.failed += 1
            raise Refusal(500, "generalException", "General exception while processing.")

    def _raised(self, fault: Fault, who: str) -> Refusal:
        wait = fault.headers.get("Retry-After", "")
        if re.fullmatch(r"[0-9.]+", wait):
            self._wait_until[who] = time.monotonic() + float(wait)
        named = {name.replace("-", "_"): value for name, value in fault.headers.items()}
        return Refusal(fault.status, fault.code, THROTTLED[1], *fault.inner, **named)

    def download(self, target: str) -> Answer | None:
        """Return what is answered instead of bytes, if a fault is planned for a download."""
        for fault in self.planned:
            if fault.pattern.startswith("download") and fault.applies(f"download {target}"):
                fault.fired += 1
                return Answer(fault.status, b"", fault.headers)
        return None

    def cut(self, target: str) -> bool:
        for fault in self.cuts:
            if fault.applies(target):
                fault.fired += 1
                return True
        return False
