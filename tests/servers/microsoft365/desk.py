"""What the sign-in pages have to remember: devices and codes that wait, and who sits at the browser."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from servers.microsoft365.people import Application, User


@dataclass
class Device:
    """A device that waits for somebody to enter its code."""

    application: Application
    user_code: str
    scopes: frozenset[str]
    expires: datetime
    user: User | None = None
    declined: bool = False
    polls: int = 0
    used: bool = False


@dataclass
class Code:
    application: Application
    user: User
    scopes: frozenset[str]
    redirect: str
    challenge: str
    nonce: str
    expires: datetime


@dataclass
class Desk:
    """The sign-in pages' state, and who sits at the browser: a user, or None while nobody does."""

    browser: User | None = None
    devices: dict[str, Device] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    interaction: dict[str, int] = field(default_factory=dict)
    """For id of user: the AADSTS number with which silent sign-in fails until he signs in anew."""
    interval: int = 5
