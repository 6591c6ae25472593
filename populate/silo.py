"""The silo measures of a snapshot, as computed tables.

What computes them (`populate.insight`) is loaded by `make()`, so that workers start quickly.
"""

from __future__ import annotations

from typing import Any, ClassVar

from populate.snapshot import Snapshot  # noqa: F401  (foreign key)
from schemas.engine import dj
from schemas.people import Person  # noqa: F401  (foreign key)

schema = dj.Schema()


@schema
class SiloParameter(dj.Lookup):
    definition = """
    # What counts as a working tie and as a potential silo
    silo_parameter : varchar(32) # name of the set
    ---
    window_days : int16 # days up to and including the snapshot's
    min_weeks : int16 # different weeks with an access that make a working tie
    min_people : int16 # in a department, to be tested
    min_expected : float64 # ties, to be tested
    ratio_below : float64 # of ties to expected ties, to be flagged
    false_discovery_rate : float64 # over the pairs tested
    """
    _STANDARD: ClassVar[dict[str, Any]] = {
        "silo_parameter": "standard",
        "window_days": 90,
        "min_weeks": 2,
        "min_people": 10,
        "min_expected": 5.0,
        "ratio_below": 0.5,
        "false_discovery_rate": 0.05,
    }
    contents = (_STANDARD, {**_STANDARD, "silo_parameter": "below 400 people", "min_people": 5})


@schema
class SiloMetric(dj.Computed):
    definition = """
    # How far the organisation shares across its departments
    -> Snapshot
    -> SiloParameter
    ---
    people_count : int32 # in the directory in the window, a person once for each department
    department_count : int32
    tie_count : int32 # working ties
    access_count : int64 # days of access that these ties are made of
    left_out_self : int32 # days of access to one's own files
    left_out_service : int32 # days of access by or from service accounts
    left_out_unattributed : int32 # days of access of people who worked in no known department then
    cross_share=null : float64 # share of ties between departments
    cross_share_events=null : float64 # share of accesses between departments
    cross_share_expected=null : float64 # if people mixed at random
    cross_share_se=null : float64 # standard error, jackknife over people
    ei_index=null : float64 # Krackhardt and Stern, -1 closed to 1 open
    ei_expected=null : float64 # if people mixed at random
    silo_index=null : float64 # share of the sharing at random that is missing
    permutation_sd=null : float64 # of the cross share when labels are dealt at random
    permutation_z=null : float64 # distance from chance in these
    gini_given=null : float64 # of ties given per person
    top10pct_given=null : float64 # share of ties that the most giving tenth gives
    pairs_resting_on_one=null : float64 # share of pairs where one person touches half of the ties
    """

    class Department(dj.Part):
        definition = """
        # A department's part in it
        -> master
        department : varchar(128) # as it was called then
        ---
        people : int32 # in the window
        given : int32 # ties its people give
        received : int32 # ties its people receive
        internal : int32 # ties within it
        cross_share_given=null : float64 # share of given ties that leave it
        cross_share_received=null : float64 # share of received ties that come from outside
        ei_index=null : float64
        coleman=null : float64 # homophily, Coleman 1958
        cross_given_per_head : float64 # ties to others per person
        cross_received_per_head : float64 # ties from others per person
        se_cross_share_given=null : float64 # standard error, clustered by producer
        """

    class Pair(dj.Part):
        definition = """
        # What one department gives to another
        -> master
        giving : varchar(128) # department
        receiving : varchar(128) # department
        ---
        ties : int32 # working ties
        expected : float64 # ties that the outside activity of both predicts
        ratio=null : float64 # ties to expected
        z=null : float64 # distance from expected, clustered by person
        rests_on_one : bool # one person touches half of the ties
        tested : bool # large enough to judge
        flagged : bool # a potential silo
        """

    class Close(dj.Part):
        definition = """
        # What changed so little since earlier figures that are shown that it would tell of single people
        -> master
        close_giving : varchar(128) # department
        close_receiving : varchar(128) # or the same = all of it; empty = the other changed by enough; both = everything
        """

    def make(self, key: dict[str, Any]) -> None:
        """Tie up the window, measure it, and keep the measures."""
        from populate.insight.silo_rows import silo_rows

        rows = silo_rows(self.connection, key, (SiloParameter() & key).fetch1())
        self.insert1(rows.organisation)
        self.Department.insert(rows.departments)
        self.Pair.insert(rows.pairs)
        self.Close.insert(rows.close)
        SiloBridge.insert(rows.bridges, skip_duplicates=True)


@schema
class SiloBridge(dj.Manual):
    definition = """
    # A person who shares with other departments; an ordinary table, as a person may ask to be forgotten
    -> Snapshot
    -> SiloParameter
    -> Person
    ---
    cross_neighbours : int32 # colleagues in other departments, either direction
    other_departments : int32
    """
