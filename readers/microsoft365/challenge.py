"""Claims challenges: an answer 401 that says what a token has to prove before it is taken."""

from __future__ import annotations

import base64
import binascii
import json
import re

_CLAIMS = re.compile(r'\bclaims\s*=\s*"(?P<claims>[^"]*)"', re.IGNORECASE)


def claims_of(header: str) -> str:
    """Return the claims that a ``WWW-Authenticate`` asks for, as JSON; empty if there are none."""
    if not (match := _CLAIMS.search(header)):
        return ""
    text = match["claims"]
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
        json.loads(decoded)
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""
    return decoded
