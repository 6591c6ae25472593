"""Retention: what may leave the content store, what must not, and having it leave.

What is decided is in force at once, and noted down in the content stores, too; if one does not answer, a warning is
logged, and the next `retain` does it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from data_platform.settings import settings

if TYPE_CHECKING:
    from populate.retention.retaining import Retained
    from populate.retention.rules import Hold, Rule


@dataclass(frozen=True, slots=True)
class Retention:
    """What is in force: rules, and the holds that override them."""

    rules: list[Rule]
    holds: list[Hold]


def retain(*, dry_run: bool = False) -> list[Retained]:
    """Mark what nothing keeps, and remove what is marked for `store.quarantine_days`; a result for each store.

    Without a rule that covers it, everything is kept. It may be broken off and done again at any time, beside
    workers that back up.

    Parameters
    ----------
    dry_run
        Change nothing, and tell what would be done.

    Raises
    ------
    DatabaseOutdated
        If a store knows of holds or rules that the catalogue does not: `rebuild` enters them.
    StoreUnavailable, StoreError
        If a store does not answer, does not let anything be removed, or something else is being removed from it.
    """
    from populate.pipeline import bind_all
    from populate.retention.retaining import retain as retain_in
    from populate.store import stores

    binding = bind_all(settings())
    return [retain_in(binding, store, settings(), dry_run=dry_run) for store in stores(settings())]


def retention() -> Retention:
    """Return the rules and holds in force."""
    from populate.pipeline import bind_all
    from populate.retention.keeping import holds, rules

    bind_all(settings())
    return Retention(rules(), holds())


def add_rule(keeps: str, amount: int = 0, *, source: str = "", department: str = "", tag: str = "") -> Rule:
    """Say for how long the contents of certain files are kept; of several rules the most generous one decides.

    Parameters
    ----------
    keeps
        ``everything``; ``versions``: the latest `amount` of each file; ``days``: `amount` of them after the last
        access.
    amount
        How many; none with ``everything``.
    source, department, tag
        Only files of this source system, whose owner works in this department, with this tag.

    Raises
    ------
    RestrictionError
        If it keeps something unknown, or less than one version or day.
    """
    from populate.pipeline import bind_all
    from populate.retention.keeping import add_rule as add

    return add(bind_all(settings()), settings(), keeps, amount, source=source, department=department, tag=tag)


def end_rule(number: int) -> None:
    """End a rule, by its number.

    Raises
    ------
    VersionUnavailable
        If no such rule is in force.
    """
    from populate.pipeline import bind_all
    from populate.retention.keeping import end_rule as end

    end(bind_all(settings()), settings(), number)


def hold(
    reason: str,
    *,
    sha256: str = "",
    source: str = "",
    below: str = "",
    owner: str = "",
    department: str = "",
    tag: str = "",
) -> Hold:
    """Order that contents are kept whatever the rules say: of files that fulfil every condition given; without, all.

    Parameters
    ----------
    reason
        Why; it stays in the catalogue.
    sha256
        Only this content: 64 hex digits or the first 8 and more.
    source
        Only files of this source system.
    below
        Only the file of this path, or what is or ever was below it.
    owner
        Only files that are or ever were of this person: a login, or a name in full.
    department
        Only files of owners who work or ever worked in it.
    tag
        Only files with this tag.

    Raises
    ------
    RestrictionError
        If there is no reason.
    VersionUnavailable
        If there is no such content or person, or several.
    """
    from populate.pipeline import bind_all
    from populate.retention.keeping import hold as order

    choice = {"source": source, "below": below, "owner": owner, "department": department, "tag": tag}
    return order(bind_all(settings()), settings(), reason, sha256=sha256, **choice)


def release(number: int) -> None:
    """Lift a hold, by its number.

    Raises
    ------
    VersionUnavailable
        If no such hold is in force.
    """
    from populate.pipeline import bind_all
    from populate.retention.keeping import release as lift

    lift(bind_all(settings()), settings(), number)
