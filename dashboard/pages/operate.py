"""Operate: whether all is well, what waits, what failed and why, and how much is stored."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from dashboard.catalogue import Catalogue
from dashboard.display import human_bytes
from dashboard.entering import enter
from dashboard.identity import Viewer
from dashboard.parts import charts, many, tables
from dashboard.parts.guard import page
from dashboard.queries import operate
from data_platform.settings import settings
from populate.watch.status import try_again

NEEDS, QUEUES, SOURCES, STORAGE = "Needs a person", "Queues", "Sources", "Storage"


def _show(known: Catalogue, viewer: Viewer) -> None:
    found = _health(known)
    bad = _troubles(found)
    if bad:
        st.warning(" ".join(bad), icon=":material/warning:")
    else:
        st.success(
            "All is well: workers and a scheduler are at work, and nothing needs a person.",
            icon=":material/check_circle:",
        )
    _numbers(found)
    first = NEEDS if len(found.needs) else QUEUES
    view = st.segmented_control(
        "View", [NEEDS, QUEUES, SOURCES, STORAGE], default=first, key="view", required=True,
        label_visibility="collapsed", bind="query-params",
    )  # fmt: skip
    {NEEDS: _needs, QUEUES: _queues, SOURCES: _sources, STORAGE: _storage}[view](known, found)


@st.cache_data(show_spinner="Asking the queues …", ttl=10, max_entries=2)
def _health(_known: Catalogue) -> operate.Health:
    return _known.ask(operate.health, settings())


def _troubles(found: operate.Health) -> list[str]:
    numbers = found.numbers
    waiting = numbers["batches_pending"] + numbers["backups_pending"]
    said = []
    if not numbers["workers"]:
        said.append("No worker is at work: start one with `data-platform worker`.")
    if not numbers["schedulers"]:
        said.append("No scheduler is at work: start one with `data-platform scheduler`.")
    if waiting and not numbers["workers"]:
        said.append(f"{many(waiting, 'thing waits', 'things wait')} for them.")
    if numbers["needs_person"]:
        said.append(f"{many(numbers['needs_person'], 'failure needs', 'failures need')} a person.")
    return said


def _numbers(found: operate.Health) -> None:
    numbers = found.numbers
    ago = _ago(found.delivered_at)
    lag = (
        f"its oldest read was {_span(found.lag.total_seconds())} old"
        if found.lag is not None
        else "nothing was delivered"
    )
    tiles = [
        ("Workers", f"{numbers['workers']:,}", "Processes that live."),
        ("Scheduler", "at work" if numbers["schedulers"] else "none", "One keeps the queues; a second stands by."),
        ("Deliveries to catalogue", f"{numbers['batches_pending']:,}", "Delivered, and not yet in the tables."),
        ("Versions to back up", f"{numbers['backups_pending']:,}", "Without a place in the store, and on their way."),
        ("Last delivery", ago, f"When reads last came in: {lag}."),
        ("In this outbox", f"{numbers['outbox_pending']:,}", "Reads of this machine that are not delivered yet."),
        ("Jobs that failed", f"{numbers['jobs_failed']:,}", "They are tried again by themselves, up to a limit."),
        ("Elsewhere", f"{numbers['backups_elsewhere']:,}", "Versions that wait for a worker which sees their disk."),
    ]
    for start in (0, 4):
        for column, (label, value, told) in zip(st.columns(4), tiles[start : start + 4], strict=True):
            column.metric(label, value, border=True, help=told)


def _needs(known: Catalogue, found: operate.Health) -> None:
    if found.needs.empty:
        tables.nothing("Nothing failed for good.")
        return
    st.caption("Each fails for as long as its cause stands. Mend that, then have all of it tried again.")
    columns = {
        "since": tables.moment("Since"),
        "what": "What",
        "reason": st.column_config.TextColumn("Why", width="large"),
        "tries": "Tries",
        "which": "Which",
    }
    tables.show(found.needs, "what needs a person", columns)
    if st.button("Try all of it again", icon=":material/replay:", type="primary"):
        with st.spinner("Putting it back into the queues …"):
            done = enter(known, try_again)
        _health.clear()
        told = ", ".join(f"{count:,} {what}" for what, count in done.items())
        st.success(f"Tried again: {told}. Workers take it from here.", icon=":material/check_circle:")


def _queues(known: Catalogue, found: operate.Health) -> None:
    busy = found.queues[found.queues[["waiting", "in_hand", "failed"]].sum(axis=1) > 0]
    if busy.empty:
        tables.nothing("Every queue is empty: all that was delivered is worked off.")
    shown = found.queues if busy.empty else busy
    shown = shown.assign(oldest=[_span(seconds) if seconds else "" for seconds in shown["oldest_seconds"]])
    columns = {
        "queue": st.column_config.TextColumn("Queue", width="medium"),
        "waiting": "Waiting",
        "in_hand": "In hand",
        "failed": "Failed",
        "stuck": "Need a person",
        "oldest": "Oldest waits",
    }
    tables.show(shown, "queues", columns, rows=20)
    coming = known.ask(operate.deliveries)
    if not coming.empty:
        st.subheader("Reads delivered")
        hours = coming.groupby("hour").agg(reads=("reads", "sum")).reset_index()
        charts.draw(
            charts.bars(hours, "hour", "reads", "reads", "yearmonthdatehours"),
            f"Reads delivered an hour, in the last {operate.HOURS} hours",
        )


def _sources(known: Catalogue, found: operate.Health) -> None:
    frame = known.ask(operate.sources)
    if frame.empty:
        tables.nothing(
            f"Nothing was read in the last {operate.DAYS} days.", "data-platform read PATH_OR_LINK", icon="inbox"
        )
        return
    frame["well"] = frame["reads"] / (frame["reads"] + frame["failures"])
    st.caption(f"Reads of the last {operate.DAYS} days, as the people who read met them.")
    columns = {
        "source_system": st.column_config.TextColumn("Source", width="large"),
        "well": tables.share("Went well"),
        "reads": "Reads",
        "failures": "Failures",
        "last_read": tables.moment("Last read"),
        "last_failure": tables.moment("Last failure"),
    }
    tables.show(frame, "sources", columns)
    failures = known.ask(operate.complaints)
    if not failures.empty:
        st.subheader("Why reads failed")
        columns = {
            "source_system": "Source",
            "outcome": "Error",
            "failures": "Times",
            "message": st.column_config.TextColumn("One of them said", width="large"),
            "last_failure": tables.moment("Last"),
        }
        tables.show(failures, "failures of sources", columns)


def _storage(known: Catalogue, found: operate.Health) -> None:
    frame = known.ask(operate.growth)
    if frame.empty:
        tables.nothing("Figures come with the first snapshot.", "data-platform snapshot", icon="database")
        return
    last = frame.iloc[-1]
    price = st.number_input(
        "Price of a TB a month", 0.0, value=20.0, step=1.0, key="price", bind="query-params", width=220
    )
    monthly = last["distinct"] / 1e12 * price
    logical, distinct = float(last["logical"]), float(last["distinct"])
    saved = human_bytes(logical - distinct)
    st.text(
        f"{human_bytes(distinct)} of different contents in {human_bytes(logical)} of files: "
        f"{saved} need not be kept twice. At that price {monthly:,.2f} a month, or {12 * monthly:,.2f} a year."
    )
    drawn = frame.assign(files=frame["logical"] / 1e9, kept=frame["distinct"] / 1e9)
    if len(drawn) > 1:
        series = [("files", "in files"), ("kept", "different")]
        charts.draw(charts.lines(drawn, "day", series, ",.1f", "GB"), "Bytes in files and different bytes, by day")
    columns = {"day": "Day", "logical": tables.size("In files"), "distinct": tables.size("Different")}
    with st.expander("As a table"):
        tables.show(frame, "storage", columns)


def _ago(moment: datetime | None) -> str:
    if moment is None:
        return "never"
    return f"{_span((datetime.now(UTC).replace(tzinfo=None) - moment).total_seconds())} ago"


def _span(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


page("Health", "Whether all is well, what waits, and what failed and why.", "engineer", _show)
