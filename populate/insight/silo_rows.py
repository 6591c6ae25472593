"""The rows of `populate.silo`, computed from a window of the catalogue."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from populate.insight.close import close_to
from populate.insight.measure import SiloParameters, SiloReport, measure
from populate.insight.standing import compared, taken
from populate.insight.window import Window, read_window
from schemas.connection import Connection

Row = dict[str, Any]

ORGANISATION = (
    "cross_share", "cross_share_events", "cross_share_expected", "cross_share_se", "ei_index", "ei_expected",
    "silo_index", "permutation_sd", "permutation_z", "gini_given", "top10pct_given", "pairs_resting_on_one",
)  # fmt: skip


class SiloRows(NamedTuple):
    """Rows of `SiloMetric`, its parts, and `SiloBridge`."""

    organisation: Row
    departments: list[Row]
    pairs: list[Row]
    bridges: list[Row]
    close: list[Row]


def silo_rows(connection: Connection, key: Row, parameter: Mapping[str, Any]) -> SiloRows:
    """Measure a snapshot under a row of `SiloParameter`.

    Parameters
    ----------
    connection
        To the catalogue.
    key
        snapshot_no and silo_parameter.
    """
    window = read_window(connection, key["snapshot_no"], parameter["window_days"])
    working = _working(window, parameter)
    found = measure(window.people, working, _parameters(parameter))
    bridging = bridges(working).rename(columns={"person": "person_id"})
    return SiloRows(
        organisation={**key, **_organisation(found), **_left_out(window)},
        departments=_rows(key, found.departments),
        pairs=_rows(key, found.pairs),
        bridges=_rows(key, bridging),
        close=_close(connection, key, parameter, working),
    )


def _working(window: Window, parameter: Mapping[str, Any]) -> pd.DataFrame:
    found: pd.DataFrame = window.ties[window.ties["weeks"] >= parameter["min_weeks"]]
    return found


def _close(connection: Connection, key: Row, parameter: Mapping[str, Any], working: pd.DataFrame) -> list[Row]:
    days = parameter["window_days"]
    others = compared(key["snapshot_no"], taken(), days)
    befores = (_working(read_window(connection, other.number, days), parameter) for other in others)
    found = sorted(close_to(befores, working))
    return [{**key, "close_giving": giving, "close_receiving": receiving} for giving, receiving in found]


def _parameters(row: Mapping[str, Any]) -> SiloParameters:
    names = ("min_people", "min_expected", "ratio_below", "false_discovery_rate")
    return SiloParameters(**{name: row[name] for name in names})


def _organisation(found: SiloReport) -> Row:
    counts = {
        "people_count": int(found.organisation["n_people"] or 0),
        "department_count": int(found.organisation["n_departments"] or 0),
        "tie_count": int(found.organisation["n_ties"] or 0),
        "access_count": int(found.organisation["n_events"] or 0),
    }
    return counts | {name: _known(found.organisation[name]) for name in ORGANISATION}


def _left_out(window: Window) -> dict[str, int]:
    return {f"left_out_{reason}": window.left_out.get(reason, 0) for reason in ("self", "service", "unattributed")}


def _rows(key: Row, frame: pd.DataFrame) -> list[Row]:
    return [{**key, **{str(name): _known(value) for name, value in row.items()}} for row in frame.to_dict("records")]


def _known(value: Any) -> Any:
    """Return None for what is not defined: not a number is no value in MySQL."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def bridges(working: pd.DataFrame) -> pd.DataFrame:
    """Count each person's colleagues and departments beyond the own one, all stints together.

    Takes working ties between nodes ``id@department``; returns person, cross_neighbours,
    other_departments.
    """
    ends = {side: working[side].str.rsplit("@", n=1) for side in ("producer", "consumer")}
    both = pd.concat(
        pd.DataFrame(
            {"person": ends[a].str[0], "own": ends[a].str[1], "other": ends[b].str[0], "department": ends[b].str[1]}
        )
        for a, b in (("producer", "consumer"), ("consumer", "producer"))
    )
    crossing = both[both["own"] != both["department"]].groupby("person")
    counts = {"cross_neighbours": crossing["other"].nunique(), "other_departments": crossing["department"].nunique()}
    return pd.DataFrame(counts).reset_index()
