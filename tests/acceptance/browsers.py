"""What tests of the dashboard in a real browser have in common."""

from __future__ import annotations

import time
import urllib.request

import pytest

PATIENCE = 120  # seconds, on a very busy machine
CHROMIUM = "/usr/bin/chromium"
HOW_TO_INSTALL = "apt-get install chromium fonts-liberation"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def until_it_listens(address: str) -> None:
    for _ in range(PATIENCE * 5):
        try:
            urllib.request.urlopen(f"{address}/_stcore/health", timeout=PATIENCE).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    pytest.fail(f"nothing listens at {address}")
