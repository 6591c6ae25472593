"""Forms by which people enter rows: what they ask for, and that nothing is overwritten."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, datetime

import pytest

from data_platform.errors import EntryRefused
from data_platform.settings import DashboardSettings, settings
from populate.entry.adding import Enterer, add, key_of
from populate.entry.fields import Form, form_of, tables
from populate.entry.looking import choices, history_of, rows_of
from schemas.binding import Binding
from schemas.engine import dj
from schemas.entered import Entry
from schemas.people import Department, Person

AMY, BOB = Enterer("a" * 32, "Amy"), Enterer("b" * 32, "Bob")


@pytest.fixture
def laboratory(binding: Binding) -> DashboardSettings:
    """A laboratory's own schema on the same server."""
    name = f"{binding.settings.database.prefix}_lab"  # so that it ends with the tables of the test
    schema = dj.Schema(name, connection=binding.connection, create_schema=True, create_tables=True)

    @schema
    class Strain(dj.Lookup):
        definition = """
        # Strains of mice
        strain : varchar(32)
        """
        contents = ({"strain": "C57"},)

    @schema
    class Mouse(dj.Manual):
        definition = """
        # Mice of the lab
        mouse_id : int16 # number of the ear tag
        ---
        -> Strain
        born : date # day of birth
        sex : enum('m','f')
        weight=null : float64 # g
        alive=1 : bool
        price=null : decimal(6,2)
        notes='' : varchar(200)
        extra=null : json
        """

    @schema
    class Weighing(dj.Manual):
        definition = """
        # A mouse was weighed
        -> Mouse
        weighed_at : datetime(6)
        ---
        grams : float32
        """

    @schema
    class Average(dj.Computed):
        definition = """
        # Not entered
        -> Mouse
        """

    return DashboardSettings(entry_schemas=(name, f"{binding.settings.database.prefix}_people"))


def named(binding: Binding, configured: DashboardSettings, table: str) -> Form:
    everything = settings().model_copy(update={"dashboard": configured})
    return form_of(binding, next(name for name in tables(binding, everything, steward=False) if name.endswith(table)))


MOUSE = {"mouse_id": "7", "strain": "C57", "born": date(2026, 1, 2), "sex": "f", "weight": "20.5", "alive": True,
         "price": "12.50", "notes": "=1+1 ✓", "extra": '{"a": [1]}'}  # fmt: skip


def test_a_form_is_what_the_table_says_and_rows_are_added_with_who_and_why(
    binding: Binding, laboratory: DashboardSettings
) -> None:
    everything = settings().model_copy(update={"dashboard": laboratory})
    listed = tables(binding, everything, steward=False)
    assert [name.split(".")[1] for name in listed] == ["#strain", "mouse", "weighing"]
    own = {name.split(".")[1] for name in tables(binding, everything, steward=True)} - {"#strain", "mouse", "weighing"}
    assert own == {"department", "membership", "departure", "mail_address", "#silo_parameter"}
    form = named(binding, laboratory, ".mouse")
    fields = {field.name: field for field in form.fields}
    assert (form.title, form.key, form.usable, form.dated) == ("Mice of the lab", ("mouse_id",), True, ())
    kinds = {name: field.kind for name, field in fields.items()}
    assert kinds == {"mouse_id": "integer", "strain": "text", "born": "day", "sex": "choice", "weight": "number",
                     "alive": "bool", "price": "decimal", "notes": "text", "extra": "json"}  # fmt: skip
    assert {name for name, field in fields.items() if field.required} == {"mouse_id", "strain", "born", "sex"}
    assert (fields["sex"].options, fields["alive"].default, fields["notes"].default) == (("m", "f"), True, "")
    assert (fields["mouse_id"].help, fields["notes"].length) == ("number of the ear tag", 200)
    assert choices(binding, fields["strain"], steward=False) == {"C57": "C57"}
    # All people, and all files, are not for everybody to see.
    person = replace(fields["strain"], parent=Person().full_table_name, parent_column="person_id")
    assert choices(binding, person, steward=False) is None
    assert choices(binding, person, steward=True) is not None
    department = replace(fields["strain"], parent=Department().full_table_name, parent_column="department")
    assert choices(binding, department, steward=False) is not None

    for wrong, why in (
        ({"born": None}, "Born has to be filled in"),
        ({"mouse_id": "40000"}, "between -32768 and 32767"),
        ({"mouse_id": "one"}, "whole number"),
        ({"weight": "nan"}, "number"),
        ({"notes": "x" * 201}, "200 are the most"),
        ({"sex": "x"}, "one of m, f"),
        ({"extra": "{"}, "JSON"),
        ({"strain": "unknown"}, "Take one of the list"),
    ):
        with pytest.raises(EntryRefused, match=why):
            add(binding, form, {**MOUSE, **wrong}, AMY)
    assert len(Entry()) == 0
    assert add(binding, form, MOUSE, AMY)
    with pytest.raises(EntryRefused, match="a row with this key"):
        add(binding, form, MOUSE, AMY)
    (shown,) = rows_of(binding, form)
    assert (shown.row["born"], shown.row["sex"], shown.row["notes"], shown.by) == (
        date(2026, 1, 2),
        "f",
        "=1+1 ✓",
        "Amy",
    )
    assert shown.state == ""

    corrected = {**MOUSE, "weight": "21"}
    with pytest.raises(EntryRefused, match="needs a reason"):
        add(binding, form, corrected, AMY, corrects=shown.key)
    assert not add(binding, form, corrected, BOB, corrects=shown.key, reason="misread")
    (shown,) = rows_of(binding, form)
    assert (shown.row["weight"], shown.state, shown.by, shown.reason) == (21.0, "corrected", "Bob", "misread")
    assert [(entry.by, entry.row["weight"]) for entry in history_of(binding, form, shown.key)] == [
        ("Amy", 20.5),
        ("Bob", 21.0),
    ]
    (kept,) = dj.FreeTable(binding.connection, _full(binding, form)).to_dicts()
    assert kept["weight"] == 20.5  # nothing is overwritten


def _full(binding: Binding, form: Form) -> str:
    quote = binding.connection.adapter.quote_identifier
    return ".".join(map(quote, form.table.split(".")))


def test_a_row_with_a_time_in_its_key_is_followed_by_another(binding: Binding, laboratory: DashboardSettings) -> None:
    add(binding, named(binding, laboratory, ".mouse"), MOUSE, AMY)
    form = named(binding, laboratory, ".weighing")
    first = {"mouse_id": 7, "weighed_at": "2026-11-29 09:00", "grams": "20"}
    add(binding, form, first, AMY)
    (shown,) = rows_of(binding, form)
    assert shown.key == key_of(form, {"mouse_id": 7, "weighed_at": datetime(2026, 11, 29, 9)})
    with pytest.raises(EntryRefused, match="weighed at of its own"):
        add(binding, form, {**first, "grams": "21"}, AMY, corrects=shown.key, reason="misread")
    later = {**first, "weighed_at": "2026-11-29T10:05:00+01:00", "grams": "21"}
    assert add(binding, form, later, AMY, corrects=shown.key, reason="misread")
    newest, replaced = rows_of(binding, form)
    assert (newest.row["grams"], newest.row["weighed_at"], newest.state) == (21.0, datetime(2026, 11, 29, 9, 5), "")
    assert replaced.state == "replaced"
    assert [entry.row["grams"] for entry in history_of(binding, form, newest.key)] == [20.0, 21.0]
    assert json.loads(Entry.to_arrays("entry_row", order_by=["entered_at", "entry_id"])[-1])["grams"] == 21.0


def test_what_the_platform_reads_itself_is_not_corrected_beside_it(binding: Binding) -> None:
    form = form_of(binding, f"{Department.database}.department")
    add(binding, form, {"department": "Chemistry"}, AMY)
    (shown,) = rows_of(binding, form)
    with pytest.raises(EntryRefused, match="it stays"):
        add(binding, form, {"department": "Chemistry"}, AMY, corrects=shown.key, reason="x")
    assert list(Department.to_arrays("department")) == ["Chemistry"]
