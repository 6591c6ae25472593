"""The data map: departments and what they share, and into a department from there."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard.catalogue import Catalogue, catalogue
from dashboard.display import plain
from dashboard.identity import Viewer, require
from dashboard.navigation import link
from dashboard.parts import failed, many
from dashboard.parts.department_map import PICK, chart, places
from data_platform.errors import DataPlatformError
from populate.insight.publish import FLOOR, Published, latest_snapshot, published
from populate.who.person import people_in
from schemas.binding import Binding

CAPTION = "Discs are departments, by their people; lines what they share, the thicker the more; dashes what is missing."
PARTNERS = 6
SHOWN = 24  # people of a department


def show() -> None:
    """The page from top to bottom."""
    try:
        viewer = require()
        st.title("Data map")
        st.caption(CAPTION)
        _show(catalogue(), viewer)
    except DataPlatformError as error:
        catalogue.clear()
        failed("The map cannot be shown.", error)


def _show(known: Catalogue, viewer: Viewer) -> None:
    number = known.ask(_number)
    if number is None:
        st.info("There is no map yet. It is drawn from a snapshot of what is shared:", icon=":material/hub:")
        st.code("data-platform snapshot\ndata-platform worker --once", language="shell")
        return
    found = _published(known, number)
    st.text(found.sentence)
    if found.day:
        st.caption(f"As of {found.day:%d %B %Y}")
    names = sorted(found.departments["department"])
    shown = found.departments[~found.departments["department"].isin(found.hidden)]
    if len(shown):
        _map(shown, found)
    if found.hidden:
        few = f"{many(len(found.hidden), 'department')} of fewer than {FLOOR} people, or next to one, not drawn."
        st.caption(few)
    chosen = _choose(names)
    if chosen:
        _department(viewer, found, chosen)


def _number(binding: Binding) -> int | None:
    binding.ensure()
    return latest_snapshot()


@st.cache_data(show_spinner="Drawing the map …", max_entries=8)
def _published(_known: Catalogue, number: int) -> Published:
    return _known.ask(lambda _: published(number))


def _map(shown: pd.DataFrame, found: Published) -> None:
    ends = set(shown["department"])
    pairs = found.pairs[found.pairs["giving"].isin(ends) & found.pairs["receiving"].isin(ends)]
    chosen = st.query_params.get("department", "")
    told = f"Map of {many(len(shown), 'department')}; the list below has the same figures."
    ink = "#e6edf3" if st.context.theme.type == "dark" else "#24292f"
    event = st.altair_chart(
        chart(shown, pairs, chosen, ink, _places),
        width="stretch",
        on_select="rerun",
        selection_mode=PICK,
        key="map",
        alt=told,
    )
    picked = [str(one["department"]) for one in event["selection"].get(PICK) or []]
    if picked and st.session_state.get("picked") != picked:
        st.session_state["picked"] = picked
        st.query_params["department"] = picked[0]
        st.session_state.pop("look into", None)
        st.rerun()


@st.cache_data(show_spinner="Drawing the map …", max_entries=8)
def _places(departments: pd.DataFrame, ties: pd.DataFrame) -> dict[str, tuple[float, float]]:
    return places(departments, ties)


def _choose(names: list[str]) -> str:
    asked = st.query_params.get("department", "")
    index = names.index(asked) if asked in names else None
    chosen = st.selectbox("Look into a department", names, index=index, placeholder="or click a disc", key="look into")
    if chosen != (asked or None):
        st.query_params.from_dict({"department": chosen} if chosen else {})
        st.rerun()
    return chosen or ""


def _department(viewer: Viewer, found: Published, name: str) -> None:
    st.subheader(plain(name))
    row = found.departments[found.departments["department"] == name].iloc[0]
    if name in found.hidden:
        st.caption("Its figures are not shown: it is too small, or they would tell those of one that is.")
    else:
        with st.container(horizontal=True):
            st.metric("People", f"{row['people']:,.0f}", border=True)
            st.metric("Ties it gives", f"{row['given']:,.0f}", border=True)
            st.metric("Ties it receives", f"{row['received']:,.0f}", border=True)
            st.metric("Leave it", _percent(row["cross_share_given"]), border=True, help="Of the ties that it gives.")
        left, right = st.columns(2, gap="large")
        with left:
            _partners("Gives most to", found.pairs[found.pairs["giving"] == name], "receiving")
        with right:
            _partners("Receives most from", found.pairs[found.pairs["receiving"] == name], "giving")
    link(f"Data of {name} that you may know", "search", "search", department=name)
    _people(viewer, name)


def _percent(share: float) -> str:
    return "–" if pd.isna(share) else f"{share:.0%}"


def _partners(title: str, pairs: pd.DataFrame, side: str) -> None:
    st.caption(title)
    known = pairs[pairs["ties"].notna() & (pairs["ties"] > 0)].sort_values(["ties", side], ascending=[False, True])
    for row in known.head(PARTNERS).to_dict("records"):
        less = ", far less than its size would let expect" if row["flagged"] else ""
        st.text(f"{row[side]}: {many(int(row['ties']), 'tie')}{less}")
    if known.empty:
        st.text("Nothing that may be shown.")


def _people(viewer: Viewer, name: str) -> None:
    people = viewer.ask(people_in, name, SHOWN + 1)
    if not people:
        return
    st.caption("People")
    columns = st.columns(3)
    for place, colleague in enumerate(people[:SHOWN]):
        with columns[place % 3]:
            link(colleague.name, "person", "person", id=colleague.person_id)
    if len(people) > SHOWN:
        link("Find others", "person", "group", q=name)


show()
