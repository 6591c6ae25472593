"""Enter rows: a form for each table, the rows that are there, and who entered them and why."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.catalogue import Catalogue
from dashboard.display import plain
from dashboard.entering import enter
from dashboard.identity import Viewer
from dashboard.parts import tables
from dashboard.parts.guard import page
from data_platform.errors import EntryRefused
from data_platform.settings import settings
from populate.entry.adding import Enterer, add
from populate.entry.fields import LONG, MOST_CHOICES, Field, Form, form_of
from populate.entry.fields import tables as tables_for
from populate.entry.looking import Shown, choices, history_of, rows_of

TURN, SAID = "entry turn", "entry said"
FAR = (date(1900, 1, 1), date(2200, 12, 31))


def _show(known: Catalogue, viewer: Viewer) -> None:
    names = known.ask(tables_for, settings(), steward=viewer.may("steward"))
    if not names:
        tables.nothing("No table is open for entries yet. Whoever runs the data platform names a laboratory's schemas:",
                       "export DATA_PLATFORM_DASHBOARD__ENTRY_SCHEMAS='[\"lab_mice\"]'", icon="edit_note")  # fmt: skip
        return
    name = st.selectbox("Table", names, key="table", bind="query-params", on_change=_begin)
    form = known.ask(form_of, name)
    if form.title:
        st.caption(plain(form.title))
    if said := st.session_state.pop(SAID, ""):
        st.success(plain(said), icon=":material/check_circle:")
    head = st.container()
    wanted = _rows(known, form, known.ask(rows_of, form))
    with head:
        if form.usable:
            _form(known, viewer, form, wanted)
        else:
            st.info(
                "This table needs values that no form can take, such as arrays. Use Python.", icon=":material/info:"
            )


def _begin() -> None:
    """Begin with an empty form: fields whose keys are new forget what was filled in."""
    st.session_state[TURN] = st.session_state.get(TURN, 0) + 1


def _form(known: Catalogue, viewer: Viewer, form: Form, wanted: Shown | None) -> None:
    turn = st.session_state.setdefault(TURN, 0)
    key = f"{form.table} {turn} {wanted.key if wanted else ''}"
    with st.form(key, border=True, enter_to_submit=False):
        st.subheader("Correct this row" if wanted else "New row")
        if wanted:
            st.caption(_what_happens(form))
        values = _fields(known, viewer, form, wanted.row if wanted else {}, key)
        reason = ""
        if wanted:
            reason = st.text_input("Why", placeholder="what was wrong", max_chars=512, key=f"{key} why")
        if st.form_submit_button("Add the correction" if wanted else "Add", type="primary", icon=":material/add:"):
            _add(known, viewer, form, values, wanted=wanted, why=reason)
    st.caption("Nothing is overwritten: each entry is kept with your name, the time, and for a correction why.")


def _what_happens(form: Form) -> str:
    if form.dated:
        return f"The row stays. The corrected one gets a {form.dated[0].label.lower()} of its own."
    return "The row stays in the table; the correction is kept beside it and shown in its place."


def _add(
    known: Catalogue, viewer: Viewer, form: Form, values: Mapping[str, Any], *, wanted: Shown | None, why: str
) -> None:
    account = viewer.asker.accounts[0]
    try:
        into = enter(known, add, form, values, Enterer(account, viewer.name),
                     corrects=wanted.key if wanted else "", reason=why)  # fmt: skip
    except EntryRefused as refused:
        st.error("Not added.", icon=":material/error:")
        st.text(str(refused))
        return
    _begin()
    st.session_state[SAID] = "The row was added." if into else "The correction was added beside the row."
    st.rerun()


def _fields(known: Catalogue, viewer: Viewer, form: Form, row: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return what is filled in; short fields stand beside each other."""
    values: dict[str, Any] = {}
    asked = [field for field in form.fields if field.kind != "other"]
    wide = [field for field in asked if field.kind == "json" or (field.kind == "text" and not 0 < field.length < LONG)]
    short = [field for field in asked if field not in wide or field.parent]
    for start in range(0, len(short), 2):
        for column, field in zip(st.columns(2), short[start : start + 2], strict=False):
            with column:
                given = row.get(field.name, field.default)
                values[field.name] = _field(known, viewer, field, given, f"{key} {field.name}")
    for field in wide:
        if field not in short:
            given = row.get(field.name, field.default)
            values[field.name] = st.text_area(_label(field), given or "", max_chars=field.length or None,
                                              help=_help(field), key=f"{key} {field.name}")  # fmt: skip
    return values


def _field(known: Catalogue, viewer: Viewer, field: Field, given: Any, key: str) -> Any:
    """Show the widget that suits a field, and return its value."""
    label, told = _label(field), _help(field)
    if field.parent:
        found = _choices(known, field, viewer.may("steward"))
        return _pick(found, field, given, label=label, told=told, key=key)
    if field.kind == "bool":
        return st.toggle(label, bool(given), help=told, key=key)
    if field.kind == "choice":
        place = field.options.index(str(given)) if str(given) in field.options else None
        return st.selectbox(label, field.options, place, help=told, key=key)
    if field.kind == "day":
        return st.date_input(label, _day(given, field.in_key), FAR[0], FAR[1], format="YYYY-MM-DD", help=told, key=key)
    if field.kind == "moment":
        begin = given or (datetime.now(UTC).replace(tzinfo=None, second=0, microsecond=0) if field.required else "")
        return st.text_input(label, f"{begin}"[:19], help=told, placeholder="2026-11-29 14:30", key=key)
    most = field.length if field.kind == "text" else 40
    return st.text_input(label, "" if given is None else str(given), max_chars=most or None, help=told, key=key)


def _pick(found: dict[Any, str] | None, field: Field, given: Any, *, label: str, told: str, key: str) -> Any:
    if found is None or len(found) >= MOST_CHOICES:
        why = "These are not listed." if found is None else "There are too many to list."
        return st.text_input(label, "" if given is None else str(given), help=f"{told} {why}", key=key)
    options = list(found)
    place = options.index(given) if given in found else None
    shown = st.selectbox(label, options, place, format_func=lambda one: found.get(one, str(one)), help=told, key=key,
                         placeholder="Choose")  # fmt: skip
    if not options:
        st.caption(f"There is none yet: enter it in {plain(field.parent)} first.")
    return shown


@st.cache_data(show_spinner=False, ttl=5, max_entries=64)
def _choices(_known: Catalogue, field: Field, steward: bool) -> dict[Any, str] | None:
    return _known.ask(choices, field, steward=steward)


def _label(field: Field) -> str:
    name = plain(field.label) + (", UTC" if field.kind == "moment" else "")
    return name + (" (needed)" if field.required or field.in_key else "")


def _help(field: Field) -> str:
    span = f"From {field.low:,} to {field.high:,}." if field.low is not None and field.high is not None else ""
    return " ".join(filter(None, (plain(field.help).capitalize() if field.help else "", span)))


def _day(given: Any, in_key: bool) -> date | None:
    if isinstance(given, str) and given:
        return date.fromisoformat(given[:10])
    return given if isinstance(given, date) else (datetime.now(UTC).date() if in_key else None)


def _rows(known: Catalogue, form: Form, rows: list[Shown]) -> Shown | None:
    """Show the rows that are there, and return the one that somebody wants to correct."""
    st.subheader("Rows")
    if not rows:
        tables.nothing("Nothing was entered yet: fill in the form above.", icon="edit_note")
        return None
    everything = st.toggle("Show replaced rows", key="replaced", bind="query-params")
    shown = [one for one in rows if everything or one.state != "replaced"]
    names = [field.name for field in form.fields if field.kind != "other"]
    frame = pd.DataFrame([{name: _cell(one.row.get(name)) for name in names} for one in shown])
    frame["entry_state"] = [one.state for one in shown]
    frame["entry_by"] = [one.by for one in shown]
    frame["entry_at"] = [f"{one.at:%d %b %Y, %H:%M}" if one.at else "" for one in shown]
    labels: dict[str, Any] = {field.name: _column(field) for field in form.fields if field.name in names}
    columns = labels | {"entry_state": "State", "entry_by": "Entered by", "entry_at": "Entered (UTC)"}
    chosen: list[Shown] = []
    tables.show(
        frame,
        f"rows of {form.table} {st.session_state.get(TURN, 0)}",
        columns,
        choose=lambda row: chosen.append(shown[int(str(row.name))]),
    )
    st.caption("Select a row to correct it, or to see what it was before.")
    for one in chosen:
        _history(known, form, one)
    return chosen[0] if chosen else None


def _history(known: Catalogue, form: Form, one: Shown) -> None:
    found = known.ask(history_of, form, one.key)
    if not found:
        return
    with st.container(border=True):
        st.subheader("What was entered")
        for entry in found:
            why = f", because: {entry.reason}" if entry.reason else ""
            values = ", ".join(f"{name} {value}" for name, value in entry.row.items())
            st.text(f"{entry.at:%d %B %Y, %H:%M} UTC, {entry.by}{why}\n{values}")


def _column(field: Field) -> Any:
    return st.column_config.Column(field.label, help=field.help or None)


def _cell(value: Any) -> Any:
    return str(value) if isinstance(value, dict | list) else value


page(
    "Enter rows", "What no program tells: an electronic lab book for the tables of your laboratory.", "scientist", _show
)
