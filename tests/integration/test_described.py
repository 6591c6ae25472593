"""What is learnt of all tables at once is what DataJoint would have learnt of each."""

from __future__ import annotations

from typing import Any

from populate.pipeline import SCHEMAS
from schemas.binding import Binding
from schemas.declared import jobs_table, tables
from schemas.described import describe
from schemas.engine import dj

from datajoint.heading import Heading  # isort: skip  (after the quiet import)


def of_all_tables(binding: Binding) -> dict[str, tuple[Any, ...]]:
    """Return what each table's heading says, learnt anew."""
    prefix, found = binding.settings.database.prefix, {}
    for schema_name, schema in SCHEMAS:
        names = [table.table_name for table in tables(schema)]
        names += [jobs_table(table) for table in tables(schema) if issubclass(table, dj.AutoPopulate)]
        for name in names:
            place = {"conn": binding.connection, "database": f"{prefix}_{schema_name}", "table_name": name}
            heading = Heading(table_info=place | {"context": {}})
            attributes = list(heading.attributes.values())
            comment = heading.table_status["comment"]
            found[f"{schema_name}.{name}"] = (attributes, heading.indexes, comment, heading._lineage_available)
    return found


def test_tables_are_described_alike_at_once_and_one_by_one(binding: Binding) -> None:
    binding.connection.known = describe(binding.connection, [*binding._active])
    asked: list[str] = []
    binding.connection._execute_query = lambda cursor, query, *rest: asked.append(query)
    at_once = of_all_tables(binding)
    assert asked == []
    del binding.connection._execute_query
    assert len(at_once) > 100
    assert sum(len(attributes) for attributes, *_ in at_once.values()) > 500
    binding.connection.known.clear()
    assert of_all_tables(binding) == at_once


def test_schemas_of_others_are_asked_about(binding: Binding) -> None:
    name = f"{binding.settings.database.prefix}_lab"
    lab = dj.Schema()

    @lab
    class Plate(dj.Manual):
        definition = """
        # A plate of a laboratory
        plate : int32 # number
        """

    lab.activate(name, connection=binding.connection, create_schema=True, create_tables=True)
    Plate.insert1({"plate": 7})
    assert Plate.to_dicts() == [{"plate": 7}]
