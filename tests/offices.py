"""Offices with known silo measures: a real one, published ones, and a small one to count by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from populate.insight.window import FOREVER

DATA = Path(__file__).parent / "data" / "silos"
EXPECTED: dict[str, Any] = json.loads((DATA / "expected.json").read_text())
INVS13 = EXPECTED["datasets"]["invs13"]
TOY = EXPECTED["toy"]
OUR_NAMES = {
    "segregation": "silo_index",
    "permutation_sd_cross_share": "permutation_sd",
    "permutation_z_cross_share": "permutation_z",
    "jackknife_se_cross_share": "cross_share_se",
}


def invs13() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return people and ties of an office of 2013, whose contacts count in both directions."""
    contacts = pd.read_csv(DATA / "invs13_contacts.csv.gz")
    both = [contacts.rename(columns={"a": p, "b": c}) for p, c in (("producer", "consumer"), ("consumer", "producer"))]
    ties = pd.concat(both).groupby(["producer", "consumer"]).size().rename("weight").reset_index()
    return pd.read_csv(DATA / "invs13_people.csv"), ties


def toy_stints() -> pd.DataFrame:
    """Return who worked where in the small one: somebody moves, somebody leaves, one is a bot."""
    return pd.DataFrame(
        [
            (p["person"], department, since, FOREVER if until is None else until, p["kind"] == "service")
            for p in TOY["people"]
            for department, since, until in p["stints"]
        ],
        columns=["person", "department", "since_day", "until_day", "service"],
    )


def toy_edges() -> pd.DataFrame:
    """Return who used whose data on which day there."""
    rows = [(producer, consumer, day, events) for producer, consumer, _, day, events in TOY["events"]]
    return pd.DataFrame(rows, columns=["producer", "consumer", "day", "events"])
